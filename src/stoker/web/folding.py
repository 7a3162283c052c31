"""Folds runs of steps that are rarely looked at: cached ones, and quick ones of BuildKit's own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from stoker.domain.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stoker.web.timeline import Bar

_INTERNAL = "[internal]"
_LEAST = 2
_QUICK_SECONDS = 1.0
_QUIET = frozenset({"done", "waiting", "not-run"})


@dataclass(frozen=True, slots=True)
class Fold:
    """Steps that follow each other: all of a run that is folded, or one that isn't.

    ``words`` says what they are; empty for one that isn't folded.
    """

    bars: Sequence[Bar]
    words: str = ""


def folded(bars: Sequence[Bar]) -> Iterator[Fold]:
    """Steps in their order, with runs of two and more that are rarely looked at together."""
    for is_rare, some in groupby(bars, key=_is_rare):
        run = list(some)
        if is_rare and len(run) >= _LEAST:
            yield Fold(run, _words(run))
        else:
            yield from unfolded(run)


def unfolded(bars: Sequence[Bar]) -> Iterator[Fold]:
    """Steps in their order, none of them folded."""
    return (Fold([bar]) for bar in bars)


def _is_rare(bar: Bar) -> bool:
    if bar.state == "cached":
        return True
    return bar.step.name.startswith(_INTERNAL) and bar.state in _QUIET and (bar.seconds or 0) < _QUICK_SECONDS


def _words(run: Sequence[Bar]) -> str:
    cached = sum(bar.state == "cached" for bar in run)
    if cached == len(run):
        return counted(cached, "cached step")
    if not cached:
        return counted(len(run), "internal step")
    return f"{counted(cached, 'cached step')}, {counted(len(run) - cached, 'internal step')}"
