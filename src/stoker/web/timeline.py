"""What a build's page shows of its steps: bars on one scale of time, and which step failed where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.builds import is_cancellation
from stoker.domain.dockerfile import find_instruction, instructions_of
from stoker.domain.masking import mask_secrets
from stoker.web.formats import duration

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from datetime import datetime

    from stoker.domain.steps import Dockerfile, Step

SCALE = 1000
_LEAST_WIDTH = 4
_MOST_TICKS = 6
_TICK_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
_PLACE = re.compile(r"^\[[^\]]*\]\s*")


@dataclass(frozen=True, slots=True)
class Bar:
    """A step and its bar, both ends in thousandths of the time that is shown; ``state`` is also its class in CSS.

    Attributes:
        begins: after how many seconds of the build's steps; None before it began.
        seconds: how long it took, or took until now.
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
    """A mark on the axis of time, in thousandths of it."""

    place: int
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """The time that all bars of a build are drawn on."""

    first: datetime
    last: datetime

    @property
    def seconds(self) -> float:
        """How much time it is; a little where it would be none."""
        return max((self.last - self.first).total_seconds(), 0.001)

    def place(self, moment: datetime) -> int:
        """Where a moment is, in thousandths."""
        return round((moment - self.first).total_seconds() / self.seconds * SCALE)

    def ticks(self) -> list[Tick]:
        """Marks at round times, a few of them, from the beginning on."""
        apart = next((one for one in _TICK_SECONDS if self.seconds / one <= _MOST_TICKS), self.seconds)
        times = [number * apart for number in range(int(self.seconds / apart) + 1)]
        return [Tick(round(time / self.seconds * SCALE), _label(time)) for time in times]


def bars(steps: Sequence[Step], scale: Scale, critical: Container[int] = ()) -> dict[str, list[Bar]]:
    """The bars of steps by platform. A step that runs reaches to the scale's end.

    Args:
        steps: which ones.
        scale: of all of the build's steps.
        critical: the numbers of those that the build waited for.
    """
    found: dict[str, list[Bar]] = {}
    for step in steps:
        found.setdefault(step.platform, []).append(_bar(step, scale, is_critical=step.number in critical))
    return found


@dataclass(frozen=True, slots=True)
class DockerfileLine:
    """The instruction that a step is, with its place."""

    filename: str
    number: int
    text: str


def failed_step(steps: Sequence[Step]) -> Step | None:
    """The step that a build failed with: of those with an error of their own, the one that ended first.

    None where all were canceled, because of another's failure or of what happened to the build.
    """
    own = [step for step in steps if step.error and not is_cancellation(step.error)]
    return min(own, key=lambda step: (step.completed_at is None, step.completed_at or 0, step.number), default=None)


def failure_reasons(failed: Step | None, error: str | None) -> list[str]:
    """Why a build failed: the error of its step, and its own with what the server added to it; once what is in both."""
    of_step = failed.error if failed is not None and failed.error else ""
    of_build = error or ""
    return [of_build] if of_step in of_build else [one for one in (of_step, of_build) if one]


def dockerfile_line(step: Step, dockerfiles: Sequence[Dockerfile]) -> DockerfileLine | None:
    """Where a step is in the Dockerfiles; None when that isn't certain, as with two that read the same."""
    wanted = _PLACE.sub("", step.name)
    found: list[DockerfileLine] = []
    for file in dockerfiles:
        one = find_instruction(instructions_of(file.contents), wanted) if wanted else None
        if one is not None:
            found.append(DockerfileLine(file.filename, one.first_line, mask_secrets(one.text)))
    places = {(one.filename, one.number) for one in found}
    return found[0] if len(places) == 1 else None


def _label(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 60 else duration(seconds)


def _bar(step: Step, scale: Scale, *, is_critical: bool) -> Bar:
    if step.started_at is None:
        return Bar(step, "cached" if step.cached else "waiting", 0, 0, None, None, is_critical)
    end = scale.last if step.completed_at is None else step.completed_at
    left = min(max(scale.place(step.started_at), 0), SCALE - _LEAST_WIDTH)
    width = min(max(scale.place(end) - left, _LEAST_WIDTH), SCALE - left)
    begins = max((step.started_at - scale.first).total_seconds(), 0.0)
    return Bar(step, _state(step), left, width, begins, max((end - step.started_at).total_seconds(), 0.0), is_critical)


def _state(step: Step) -> str:
    if step.error:
        return "failed"
    if step.cached:
        return "cached"
    return "running" if step.completed_at is None else "done"
