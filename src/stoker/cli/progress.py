"""Shows how far a long transfer of bytes is, on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.cli.terminal import tell

if TYPE_CHECKING:
    from collections.abc import Callable

# What is over sooner needs no progress.
_FIRST_SECONDS = 1.0
_NEXT_SECONDS = 5.0
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


class TransferProgress:
    """Prints a line after the first second, every few seconds, and when something else begins."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._said_at = monotonic() + _FIRST_SECONDS - _NEXT_SECONDS
        self._said = ""

    def report(self, what: str, done: int, total: int) -> None:
        """``done`` bytes of ``total`` are done; 0 of 0 where none are counted."""
        now = self._monotonic()
        has_said_something = bool(self._said)
        if now - self._said_at < _NEXT_SECONDS and (what == self._said or not has_said_something):
            return
        self._said_at, self._said = now, what
        tell(f"{what}: {done * 100 // total} % of {shown_bytes(total)}" if total else what)


def shown_bytes(number: float) -> str:
    """A size for people, in decimal units."""
    unit = 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.3g} {_UNITS[unit]}"
