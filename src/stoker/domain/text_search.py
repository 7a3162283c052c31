"""A search in logs: which lines show a text, and where, in capital or small letters."""

from __future__ import annotations

from stoker.domain.errors import InvalidInput
from stoker.domain.terminal_text import has_controls, shown_text, without_sequences

MAX_LENGTH = 200


class TextSearch:
    """A text to look for in what lines show. Whether letters are capital or small doesn't matter."""

    def __init__(self, text: str) -> None:
        """Look for ``text``.

        Raises:
            InvalidInput: it is empty, too long, or has more than one line.
        """
        if not text or len(text) > MAX_LENGTH or "\n" in text:
            raise InvalidInput(f"search for a text of 1 to {MAX_LENGTH} characters in one line")
        self.text = text
        self._folded = _folded(text)
        # Lower-casing bytes is many times faster than decoding them, and does the same for ASCII.
        self._ascii = self._folded.encode() if text.isascii() else None

    def is_shown_in(self, line: bytes) -> bool:
        """Whether a line shows the text. What is in escape sequences isn't shown, and doesn't divide what is."""
        if not has_controls(line):
            return self._is_in(line)
        return self._is_in(without_sequences(line)) and self._folded in _folded(shown_text(_decoded(line)))

    def places_in(self, shown: str) -> list[tuple[int, int]]:
        """Where each match begins and ends in what a line shows. Matches don't overlap."""
        folded, found, at = _folded(shown), list[tuple[int, int]](), 0
        while (begin := folded.find(self._folded, at)) >= 0:
            at = begin + len(self._folded)
            found.append((begin, at))
        return found

    def _is_in(self, line: bytes) -> bool:
        if self._ascii is not None:
            return self._ascii in line.lower()
        return self._folded in _folded(_decoded(line))


def _decoded(line: bytes) -> str:
    return line.decode(errors="replace")


def _folded(text: str) -> str:
    """A text without the difference of capital and small letters, in as many characters, so that places stay."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(small if len(small := one.casefold()) == 1 else one for one in text)
