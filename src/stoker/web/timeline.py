"""The steps on a build's page: bars on one time scale, and why the build failed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.builds import is_cancellation
from stoker.web.formats import duration

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from datetime import datetime

    from stoker.domain.build_waits import Wait
    from stoker.domain.steps import Step

SCALE = 1000
_LEAST_WIDTH = 4
_LEAST_WAIT = timedelta(seconds=0.1)
_MOST_TICKS = 6
_MOST_CANCELED = 3
_TICK_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
_COMMAND = re.compile(r'process "(?:[^"\\]|\\.)*+" did not complete successfully: ', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Bar:
    """A step and its bar, in thousandths of the time scale; ``state`` is also its class in CSS.

    Attributes:
        begins: seconds from the first step's start; None before it started.
        seconds: its duration, until now if it is running.
    """

    step: Step
    state: str
    left: int
    width: int
    begins: float | None
    seconds: float | None
    is_critical: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis, in thousandths of it."""

    place: int
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """The time scale of all bars of a build. Its marks count from ``zero``, or from its beginning if that is None."""

    first: datetime
    last: datetime
    zero: datetime | None = None

    @property
    def origin(self) -> datetime:
        """The moment from which seconds count."""
        return self.zero or self.first

    @property
    def seconds(self) -> float:
        """The length of the scale, never 0."""
        return max((self.last - self.first).total_seconds(), 0.001)

    def place(self, moment: datetime) -> int:
        """The position of a moment, in thousandths."""
        return round((moment - self.first).total_seconds() / self.seconds * SCALE)

    def ticks(self) -> list[Tick]:
        """A few marks at round times, from the origin."""
        length = max((self.last - self.origin).total_seconds(), 0.001)
        apart = next((one for one in _TICK_SECONDS if length / one <= _MOST_TICKS), length)
        times = [number * apart for number in range(int(length / apart) + 1)]
        return [Tick(self.place(self.origin + timedelta(seconds=time)), _label(time)) for time in times]


def scale_of(first: datetime, last: datetime, waits: Sequence[Wait]) -> Scale:
    """The scale of a build's waits and steps. Waits that would take more than a third of it are cut at their beginning.

    Args:
        first: when its first step began.
        last: when its last step ended, or now.
        waits: what it waited for before.
    """
    begin = min((wait.started_at for wait in waits if is_shown(wait)), default=first)
    return Scale(max(min(begin, first), first - max(last - first, timedelta(0)) / 2), last, first)


def is_shown(wait: Wait) -> bool:
    """Whether a wait took so long that it is drawn."""
    return wait.duration >= _LEAST_WAIT


@dataclass(frozen=True, slots=True)
class WaitBar:
    """A wait and its bar, in thousandths of the time scale."""

    wait: Wait
    left: int
    width: int


def wait_bars(waits: Sequence[Wait], scale: Scale) -> list[WaitBar]:
    """The bars of a build's waits, but for very short ones."""
    return [WaitBar(wait, *_extent(wait.started_at, wait.ended_at, scale)) for wait in waits if is_shown(wait)]


def bars(
    steps: Sequence[Step], scale: Scale, critical: Container[int] = (), *, is_over: bool = False
) -> dict[str, list[Bar]]:
    """The bars of steps by platform. A running step's bar reaches the end of the scale.

    Args:
        steps: the steps to show.
        scale: of all of the build's steps.
        critical: the numbers of steps on the critical path.
        is_over: whether the build has ended, so that no step begins or ends any more.
    """
    found: dict[str, list[Bar]] = {}
    for step in steps:
        found.setdefault(step.platform, []).append(
            _bar(step, scale, is_critical=step.number in critical, is_over=is_over)
        )
    return found


def canceled_steps(steps: Sequence[Step]) -> list[Step]:
    """The first few of the steps that were canceled, in the order in which they began."""
    canceled = [step for step in steps if step.error and is_cancellation(step.error)]
    canceled.sort(key=lambda step: (step.started_at is None, step.started_at or 0, step.number))
    return canceled[:_MOST_CANCELED]


def failure_reasons(failed: Step | None, error: str | None) -> list[str]:
    """Why a build failed: the error of the step, and the build's own error unless it says the same.

    Without the command that failed: BuildKit quotes it in both, and the page names it already.
    """
    of_step = _COMMAND.sub("", failed.error) if failed is not None and failed.error else ""
    of_build = _COMMAND.sub("", error or "")
    return [of_build] if of_step in of_build else [one for one in (of_step, of_build) if one]


def _label(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 60 else duration(seconds)


def _bar(step: Step, scale: Scale, *, is_critical: bool, is_over: bool) -> Bar:
    if step.started_at is None:
        state = "cached" if step.cached else "not-run" if is_over else "waiting"
        return Bar(step, state, 0, 0, None, None, is_critical)
    end = scale.last if step.completed_at is None else step.completed_at
    left, width = _extent(step.started_at, end, scale)
    begins = max((step.started_at - scale.origin).total_seconds(), 0.0)
    state, seconds = _state(step, is_over=is_over), max((end - step.started_at).total_seconds(), 0.0)
    return Bar(step, state, left, width, begins, seconds, is_critical)


def _extent(begin: datetime, end: datetime, scale: Scale) -> tuple[int, int]:
    """Where a bar begins and how wide it is. It is within the scale, and never too narrow to be seen."""
    left = min(max(scale.place(begin), 0), SCALE - _LEAST_WIDTH)
    return left, min(max(scale.place(end) - left, _LEAST_WIDTH), SCALE - left)


def _state(step: Step, *, is_over: bool) -> str:
    if step.error:
        # Because another one failed, or with the build: it is not what went wrong.
        return "canceled" if is_cancellation(step.error) else "failed"
    if step.cached:
        return "cached"
    if step.completed_at is not None:
        return "done"
    return "unfinished" if is_over else "running"
