"""The chain of steps that a build waited for: to be faster, it has to be shorter somewhere along it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from stoker.domain.step_graph import InputGraph, inputs_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.domain.steps import Step

_EXPORTING = "exporting "
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """Steps, each of which needs the one before it, and their time; overlaps count once."""

    steps: tuple[Step, ...] = ()
    duration: timedelta = timedelta(0)


def critical_path(steps: Sequence[Step]) -> CriticalPath:
    """The longest chain of steps that leads to the step that ended last.

    Chains follow the inputs that BuildKit reports, and exports, which begin when all else is done. BuildKit doesn't
    report when a step waits for a free slot or for the client; then the chain is shorter than the build.
    """
    ended = sorted((step for step in steps if step.completed_at is not None), key=_end)
    timed = [step for step in ended if step.duration is not None]
    if not timed:
        return CriticalPath()
    last, graph = timed[-1], InputGraph(steps)
    by_number = {step.number: step for step in steps}
    longest: dict[int, tuple[timedelta, int | None]] = {}

    def needed_by(number: int) -> tuple[int, ...]:
        step = by_number[number]
        if step.inputs or step.started_at is None or not step.name.startswith(_EXPORTING):
            return graph.inputs_of(number)
        before = bisect_right(ended, (step.started_at, 0), key=_end)
        return tuple(one.number for one in ended[max(before - 1, 0) : before] if one is not step)

    for number in inputs_first([last.number], needed_by):
        step = by_number[number]
        own = max(step.duration or timedelta(0), timedelta(0))
        ways: list[tuple[timedelta, int | None]] = [(own, None)]
        for needed in needed_by(number):
            if needed in longest:
                ways.append((longest[needed][0] + own - _together(by_number[needed], step), needed))
        longest[number] = max(ways, key=lambda way: (way[0], way[1] is not None, -(way[1] or 0)))
    chain: list[Step] = []
    number = last.number
    while number is not None:
        chain.append(by_number[number])
        number = longest[number][1]
    return CriticalPath(tuple(step for step in reversed(chain) if step.duration is not None), longest[last.number][0])


def _end(step: Step) -> tuple[datetime, int]:
    return step.completed_at or _NEVER, -step.number


def _together(needed: Step, step: Step) -> timedelta:
    """How long a step and one of its inputs overlapped: BuildKit may resume a step that it began earlier."""
    if needed.completed_at is None or step.started_at is None or step.completed_at is None:
        return timedelta(0)
    begun = max(step.started_at, needed.started_at or needed.completed_at)
    return max(min(needed.completed_at, step.completed_at) - begun, timedelta(0))
