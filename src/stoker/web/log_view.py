"""What a step's page shows of its log, as the page's address asks for it."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from stoker.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import QueryParams

_LINES = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogView:
    """What a page shows of a log. Lines have numbers from 1.

    Attributes:
        line: a line that is shown; None for the end of the log.
        last: the last line of a range that is marked, which begins with ``line``.
        text: what is searched for; empty for nothing.
        wraps: whether long lines are wrapped.
        has_times: whether each line has its time.
    """

    line: int | None = None
    last: int | None = None
    text: str = ""
    wraps: bool = True
    has_times: bool = False

    @property
    def query(self) -> str:
        """The query of an address that asks for this view; empty for the usual one."""
        lines = "" if self.line is None else str(self.line) if self.last is None else f"{self.line}-{self.last}"
        fields = {
            "q": self.text,
            "line": lines,
            "wrap": "" if self.wraps else "no",
            "times": "yes" if self.has_times else "",
        }
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"?{query}" if query else ""

    def but(self, **changes: Any) -> str:  # noqa: ANN401
        """The query of the same view with something else."""
        return replace(self, **changes).query

    def first(self, lines: int, size: int) -> int:
        """The index of the first line of the window to show.

        Windows begin at multiples of their size, so that links lead to the same ones. Two are elsewhere: the end of the
        log, which moves on while the step runs, and one that has to have a whole range.

        Args:
            lines: how many the log has.
            size: how many a window has.
        """
        if self.line is None:
            return max(lines - size, 0)
        index = max(min(self.line, lines) - 1, 0)
        first = index // size * size
        return index if self.last is not None and self.last > first + size else first

    def is_marked(self, number: int) -> bool:
        """Whether a line is in the marked range."""
        return self.line is not None and self.last is not None and self.line <= number <= self.last


def asked_view(query: QueryParams) -> LogView:
    """The view that an address asks for.

    Raises:
        InvalidInput: ``line`` is neither a number nor a range.
    """
    line, last = None, None
    if "line" in query:
        found = _LINES.fullmatch(query["line"])
        if found is None:
            raise InvalidInput("line in the address is neither a line's number nor a range; open the step's page again")
        line, last = int(found[1]), int(found[2]) if found[2] else None
        if last is not None:
            line, last = min(line, last), max(line, last)
    return LogView(line, last, query.get("q", "").strip(), query.get("wrap") != "no", query.get("times") == "yes")


@dataclass(frozen=True, slots=True)
class Hits:
    """The lines that a search of a log found, and which of them the page is at.

    Attributes:
        lines: their numbers, from 1, in order.
        is_whole: whether the whole log was searched.
        at: the index of the one that the page is at; 0 if there are none.
    """

    lines: Sequence[int]
    is_whole: bool
    at: int

    @property
    def current(self) -> int | None:
        """The line that the page is at."""
        return self.lines[self.at] if self.lines else None

    @property
    def previous(self) -> int | None:
        """The line of the match before."""
        return self.lines[self.at - 1] if self.at > 0 else None

    @property
    def next(self) -> int | None:
        """The line of the match after it."""
        return self.lines[self.at + 1] if self.at + 1 < len(self.lines) else None


def hits_at(lines: Sequence[int], line: int | None, *, is_whole: bool) -> Hits:
    """The hits of a search; the page is at the first that isn't before ``line``, or at the last."""
    at = bisect_left(lines, line or 0)
    return Hits(lines, is_whole, max(min(at, len(lines) - 1), 0))
