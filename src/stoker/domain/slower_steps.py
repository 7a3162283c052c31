"""Which steps of a build took longer than in another one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stoker.domain.steps import Step

_MOST = 5
_LEAST = timedelta(seconds=0.5)
# The place in ``[build 3/7]`` changes with steps that come later.
_PLACE = re.compile(r"^\[(?P<where>[^\]]*?) *\d+/\d+\]")


@dataclass(frozen=True, slots=True)
class SlowerStep:
    """A step that took longer than the same step of another build: its number and name here, and both durations."""

    number: int
    name: str
    before: timedelta
    now: timedelta

    @property
    def more(self) -> timedelta:
        """How much longer it took."""
        return self.now - self.before


def slower_steps(steps: Iterable[Step], before: Iterable[Step]) -> tuple[SlowerStep, ...]:
    """The few steps that took much longer than in another build, the one with the largest difference first.

    Steps are the same if their names and platforms are, but for their place in their stage. Names that a build has
    twice are left out. A cached step took no time.
    """
    ours, theirs = _by_name(steps), _by_name(before)
    found: list[SlowerStep] = []
    for key, step in ours.items():
        other = None if step is None else theirs.get(key)
        if step is None or other is None:
            continue
        now, then = _duration(step), _duration(other)
        if now is not None and then is not None and now - then >= _LEAST:
            found.append(SlowerStep(step.number, step.name, then, now))
    return tuple(sorted(found, key=lambda one: (-one.more, one.number))[:_MOST])


def _by_name(steps: Iterable[Step]) -> dict[tuple[str, str], Step | None]:
    """Steps by platform and name; None where there are several."""
    found: dict[tuple[str, str], Step | None] = {}
    for step in steps:
        key = (step.platform, _PLACE.sub(lambda place: f"[{place['where']}]", step.name))
        found[key] = None if key in found else step
    return found


def _duration(step: Step) -> timedelta | None:
    """How long a step took; None if it didn't end, or failed."""
    if step.cached:
        return timedelta(0)
    return None if step.error is not None else step.duration
