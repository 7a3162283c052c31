"""A program in a terminal, driven by keys and read from the screen as a person does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect
import pyte

UP, DOWN, LEFT, RIGHT = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C"
ENTER = "\r"
CTRL_C = "\x03"
# The plain one: programs use sequences on an xterm that pyte does not know, and draw nonsense then.
_TERM = "vt220"
_ROWS, _COLUMNS = 40, 120
_SECONDS = 60


class Terminal:
    """One program in a terminal of its own."""

    def __init__(
        self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], columns: int = _COLUMNS
    ) -> None:
        program, *arguments = command
        self._process: pexpect.spawn[bytes] = pexpect.spawn(
            program,
            arguments,
            cwd=str(cwd),
            env={**environment, "TERM": _TERM},
            dimensions=(_ROWS, columns),
        )
        self._screen = pyte.Screen(columns, _ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._written: list[bytes] = []

    @property
    def screen(self) -> str:
        """What is on the screen now, without empty lines."""
        return "\n".join(line.rstrip() for line in self._screen.display if line.strip())

    @property
    def written(self) -> str:
        """All that was written so far, control sequences included."""
        return b"".join(self._written).decode(errors="replace")

    def shows(self, *texts: str) -> str:
        """Wait until all of ``texts`` are on the screen; the screen."""
        deadline = time.monotonic() + _SECONDS
        while not all(text in self.screen for text in texts):
            assert time.monotonic() < deadline, f"{texts} did not come to the screen:\n{self.screen}"
            assert self._read(), f"it ended without showing {texts}:\n{self.written}"
        return self.screen

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            self._process.send(key)

    def press_until(self, key: str, text: str) -> None:
        """Press a key again and again until ``text`` was written.

        For a question that follows another at once: the reader of the first may take the key for the second.
        """
        deadline = time.monotonic() + _SECONDS
        while text not in self.written:
            assert time.monotonic() < deadline, f"{key!r} did not lead to {text!r}:\n{self.screen}"
            self.press(key)
            assert self._read(), f"it ended without saying {text!r}:\n{self.written}"

    def ends(self) -> int:
        """Wait for the end; the exit code, or the negative number of the signal."""
        deadline = time.monotonic() + _SECONDS
        while self._read():
            assert time.monotonic() < deadline, f"it did not end:\n{self.screen}\n{self.written!r}"
        self._process.wait()
        return self._process.exitstatus if self._process.exitstatus is not None else -self._process.signalstatus

    def close(self) -> None:
        """End it if it hasn't ended."""
        self._process.close(force=True)

    def _read(self) -> bool:
        """Take what was written meanwhile; False after the end."""
        try:
            written = self._process.read_nonblocking(65536, timeout=0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self._written.append(written)
        self._stream.feed(written)
        return True
