"""Which steps of a build a reader wants to see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stoker.domain.errors import InvalidInput

MAX_NAME_LENGTH = 200


class StepKind(StrEnum):
    """What became of steps."""

    ALL = "all"
    RAN = "ran"
    CACHED = "cached"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Steps of a kind whose names contain a text, in capital or small letters; an empty text matches all."""

    kind: StepKind = StepKind.ALL
    name: str = ""


ALL_STEPS = StepFilter()


def checked_filter(kind: str, name: str) -> StepFilter:
    """The filter that a reader asks for.

    Raises:
        InvalidInput: there is no such kind, or the text is too long.
    """
    kinds = [one.value for one in StepKind]
    if kind not in kinds:
        raise InvalidInput(f"there is no such kind of steps; the kinds are {', '.join(kinds)}")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidInput(f"filter steps by a text of at most {MAX_NAME_LENGTH} characters")
    return StepFilter(StepKind(kind), name)
