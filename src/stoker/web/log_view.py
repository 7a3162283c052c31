"""What a step's page shows of its log, as the page's address asks for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from stoker.domain.errors import InvalidInput

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

_LINES = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogView:
    """What a page shows of a log. Lines have numbers from 1.

    Attributes:
        line: a line that is shown; None for the end of the log.
        last: the last line of a range that is marked, which begins with ``line``.
        wraps: whether long lines are wrapped.
        has_times: whether each line has its time.
    """

    line: int | None = None
    last: int | None = None
    wraps: bool = True
    has_times: bool = False

    @property
    def query(self) -> str:
        """This view as the query of an address; empty for the usual one."""
        lines = "" if self.line is None else str(self.line) if self.last is None else f"{self.line}-{self.last}"
        fields = {"line": lines, "wrap": "" if self.wraps else "no", "times": "yes" if self.has_times else ""}
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"?{query}" if query else ""

    def but(self, **changes: Any) -> str:
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
    return LogView(line, last, query.get("wrap") != "no", query.get("times") == "yes")
