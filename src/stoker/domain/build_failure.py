"""Finds the step that made a build fail, and its line in the Dockerfile."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.builds import is_cancellation
from stoker.domain.dockerfile import find_instruction, instructions_of
from stoker.domain.masking import mask_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.domain.steps import Dockerfile, LogLine, Step

_PLACE = re.compile(r"^\[[^\]]*\]\s*")


@dataclass(frozen=True, slots=True)
class DockerfileLine:
    """A step's instruction in a Dockerfile, with its line."""

    filename: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class BuildFailure:
    """The step that made a build fail, its line in the Dockerfile if that is certain, and the end of its log."""

    step: Step
    place: DockerfileLine | None
    lines: Sequence[LogLine]


def failed_step(steps: Sequence[Step]) -> Step | None:
    """The step that made a build fail: the first to end with an error of its own.

    None if all errors are cancellations, because another step failed or the build ended.
    """
    own = [step for step in steps if step.error and not is_cancellation(step.error)]
    return min(own, key=lambda step: (step.completed_at is None, step.completed_at or 0, step.number), default=None)


def dockerfile_line(step: Step, dockerfiles: Sequence[Dockerfile]) -> DockerfileLine | None:
    """The line of a step in the Dockerfiles; None if it isn't certain, as with two equal instructions."""
    wanted = _PLACE.sub("", step.name)
    found: list[DockerfileLine] = []
    for file in dockerfiles:
        one = find_instruction(instructions_of(file.contents), wanted) if wanted else None
        if one is not None:
            found.append(DockerfileLine(file.filename, one.first_line, mask_secrets(one.text)))
    places = {(one.filename, one.number) for one in found}
    return found[0] if len(places) == 1 else None
