"""Passes a program's error output on, and remembers how it ends.

A program that draws its progress needs a terminal. Where ours is one, it gets a terminal of its own, of the same size.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Self

CUT = "…"
_OURS = 2
_CHUNK = 64 * 1024
_REMEMBERED = 16 * 1024


class ErrorOutput:
    """What a program writes to stderr. It has to be started with ``writer`` as its stderr, within the block."""

    def __init__(self) -> None:
        self._tail = bytearray()
        self._is_terminal = os.isatty(_OURS)
        self._reader, self.writer = os.openpty() if self._is_terminal else os.pipe()

    def __enter__(self) -> Self:
        """Begin to pass on."""
        loop = asyncio.get_running_loop()
        if self._is_terminal:
            import tty

            tty.setraw(self.writer)
            self._copy_size()
            loop.add_signal_handler(signal.SIGWINCH, self._copy_size)
        os.set_blocking(self._reader, False)
        loop.add_reader(self._reader, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        """Pass on what is left, and stop."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._reader)
        if self._is_terminal:
            loop.remove_signal_handler(signal.SIGWINCH)
        while self._pass_on():
            pass
        os.close(self.writer)
        os.close(self._reader)

    @property
    def tail(self) -> str:
        """The end of what it wrote; begins with `CUT` where there was more."""
        text = self._tail.decode(errors="replace")
        return CUT + text if len(self._tail) == _REMEMBERED else text

    def _pass_on(self) -> bool:
        """Returns whether there was something."""
        try:
            content = os.read(self._reader, _CHUNK)
        except OSError:
            content = b""
        if not content:
            return False
        self._tail = (self._tail + content)[-_REMEMBERED:]
        # Nobody may read ours any more.
        with suppress(OSError):
            _write_all(content)
        return True

    def _copy_size(self) -> None:
        import termios

        with suppress(termios.error, OSError):
            termios.tcsetwinsize(self.writer, termios.tcgetwinsize(_OURS))


def _write_all(content: bytes) -> None:
    while content:
        content = content[os.write(_OURS, content) :]
