"""The table of what neighbours noticed of each attack."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.attack.framework.attack import Attack
from tests.attack.framework.neighbour import Noticed

MEGABYTE = 1024**2
ROW = "attack"
"""The property of a test's report that holds its row."""
_COLUMNS = (
    "attack",
    "builds before",
    "during",
    "ratio",
    "slowest health check before",
    "during",
    "API memory",
    "gateway memory",
)
_LONGEST_FAULT = 200
_WIDTHS = (46, 13, 7, 6, 27, 16, 16, 16)


@dataclass(frozen=True)
class Memory:
    """Bytes of a process before an attack, and at most during it."""

    before: int
    peak: int

    @property
    def growth(self) -> int:
        return self.peak - self.before

    def __str__(self) -> str:
        return f"{self.before / MEGABYTE:.0f} to {self.peak / MEGABYTE:.0f} MB"


@dataclass(frozen=True)
class Row:
    """What one attack did to the neighbours and the server."""

    attack: Attack
    before: Noticed
    during: Noticed
    api: Memory
    gateway: Memory
    tally: Counter[str]
    faults: list[str] = field(default_factory=list[str])

    @property
    def ratio(self) -> float:
        return self.during.build_seconds / self.before.build_seconds

    @property
    def verdict(self) -> str:
        if not self.faults:
            return "held"
        more = f" and {len(self.faults) - 1} more" if len(self.faults) > 1 else ""
        return f"gave way: {' '.join(self.faults[0].split())[:_LONGEST_FAULT]}{more}"

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            f"{self.attack.finding} {self.attack.name}",
            f"{self.before.build_seconds:.2f} s",
            f"{self.during.build_seconds:.2f} s",
            f"{self.ratio:.2f}",
            f"{1000 * self.before.slowest_health_check:.0f} ms",
            f"{1000 * self.during.slowest_health_check:.0f} ms at {self.during.slowest_at:.0f} s",
            str(self.api),
            str(self.gateway),
            self.verdict,
        )


def table(rows: list[str]) -> str:
    """Rows under their heading."""
    return "\n".join([_line((*_COLUMNS, "verdict")), *rows])


def text_of(row: Row) -> str:
    """A row, and what the attack counted below it."""
    return f"{_line(row.cells)}\n   " + ", ".join(f"{what}: {count}" for what, count in row.tally.most_common(8))


def _line(cells: tuple[str, ...]) -> str:
    *first, last = cells
    return "  ".join([f"{cell:<{width}}" for cell, width in zip(first, _WIDTHS, strict=True)] + [last])
