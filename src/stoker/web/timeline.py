"""What a build's page shows of its steps: bars on one scale of time, and which step failed where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from stoker.domain.steps import Dockerfile, Step

SCALE = 1000
_LEAST_WIDTH = 4
_PLACE = re.compile(r"^\[[^\]]*\]\s*")


@dataclass(frozen=True, slots=True)
class Bar:
    """A step and its bar, both ends in thousandths of the time that is shown; ``state`` is also its class in CSS."""

    step: Step
    state: str
    left: int
    width: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class DockerfileLine:
    """The instruction that a step is, with its place."""

    filename: str
    number: int
    text: str


def bars(steps: Sequence[Step], now: datetime) -> dict[str, list[Bar]]:
    """The bars of steps by platform. A step that runs reaches to ``now``."""
    begun = [step.started_at for step in steps if step.started_at is not None]
    first = min(begun, default=now)
    last = max((step.completed_at or now for step in steps if step.started_at is not None), default=now)
    span = max((last - first).total_seconds(), 0.001)
    found: dict[str, list[Bar]] = {}
    for step in steps:
        found.setdefault(step.platform, []).append(_bar(step, first, now, span))
    return found


def failed_step(steps: Sequence[Step]) -> Step | None:
    """The step that a build failed with: of those with an error, the one that ended first.

    The others were canceled because of it.
    """
    failed = [step for step in steps if step.error]
    own = [step for step in failed if "context canceled" not in (step.error or "")] or failed
    return min(own, key=lambda step: (step.completed_at is None, step.completed_at or 0, step.number), default=None)


def dockerfile_line(step: Step, dockerfiles: Sequence[Dockerfile]) -> DockerfileLine | None:
    """Where a step is in the Dockerfiles; None when that isn't certain, as with two that read the same."""
    wanted = " ".join(_PLACE.sub("", step.name).split())
    found = [
        DockerfileLine(file.filename, number, text)
        for file in dockerfiles
        for number, text in _instructions(file.contents)
        if wanted and text == wanted
    ]
    places = {(one.filename, one.number) for one in found}
    return found[0] if len(places) == 1 else None


def _bar(step: Step, first: datetime, now: datetime, span: float) -> Bar:
    if step.started_at is None:
        return Bar(step, "cached" if step.cached else "waiting", 0, 0, None)
    seconds = max(((step.completed_at or now) - step.started_at).total_seconds(), 0.0)
    left = min(round((step.started_at - first).total_seconds() / span * SCALE), SCALE - _LEAST_WIDTH)
    width = min(max(round(seconds / span * SCALE), _LEAST_WIDTH), SCALE - left)
    return Bar(step, _state(step), left, width, seconds)


def _state(step: Step) -> str:
    if step.error:
        return "failed"
    if step.cached:
        return "cached"
    return "running" if step.completed_at is None else "done"


def _instructions(contents: str) -> list[tuple[int, str]]:
    """Instructions with the line that each begins in, on one line and with single spaces, as BuildKit names them."""
    found: list[tuple[int, str]] = []
    parts: list[str] = []
    begin = 0
    for number, line in enumerate(contents.splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        begin = begin if parts else number
        parts.append(text.removesuffix("\\"))
        if not text.endswith("\\"):
            found.append((begin, " ".join(" ".join(parts).split())))
            parts = []
    return found
