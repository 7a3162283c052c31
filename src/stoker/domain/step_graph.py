"""The graph of steps and their inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from stoker.domain.steps import Step

Key = TypeVar("Key", bound="Hashable")


def inputs_first(roots: Iterable[Key], inputs_of: Callable[[Key], Sequence[Key]]) -> list[Key]:
    """The roots and all their inputs, each once, inputs first.

    A cycle, which no build has but any client may report, is cut somewhere.

    Args:
        roots: where to start.
        inputs_of: the direct inputs of an item.
    """
    found: dict[Key, None] = {}
    entered: set[Key] = set()
    # Not by recursion: a chain of steps may be longer than Python's stack.
    ahead = list(roots)
    while ahead:
        key = ahead[-1]
        missing = [] if key in entered else [one for one in inputs_of(key) if one not in entered]
        entered.add(key)
        if missing:
            ahead.extend(missing)
            continue
        ahead.pop()
        found.setdefault(key)
    return list(found)


class InputGraph:
    """The inputs of steps, by their numbers."""

    def __init__(self, steps: Sequence[Step]) -> None:
        own: dict[tuple[str, str], int] = {}
        shared: dict[str, int] = {}
        for step in steps:
            own.setdefault((step.solve_ref, step.digest), step.number)
            shared.setdefault(step.digest, step.number)
        # A step that several solves share is listed for one of them, and needed in all.
        self._inputs = {
            step.number: tuple(
                found
                for digest in step.inputs
                if (found := own.get((step.solve_ref, digest), shared.get(digest))) is not None
            )
            for step in steps
        }

    def inputs_of(self, number: int) -> tuple[int, ...]:
        """The inputs of a step, as far as they are among these steps."""
        return self._inputs[number]
