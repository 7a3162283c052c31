"""Why steps were not cached, as far as the records of two builds make it certain.

BuildKit doesn't report it. It reports the steps of two builds: names, digests and inputs. So a step is compared with
the project's last finished build of its platform. Digests cover the whole definition; those of steps that build on the
client's files contain its session, and so differ in each build.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from stoker.domain.step_graph import InputGraph, inputs_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.domain.steps import Step

_INTERNAL = "[internal]"
# Sources with fixed contents: an image by its digest, and inline documents of the Dockerfile.
_PINNED = re.compile(r"@sha256:[0-9a-f]{64}$|^\[internal\] preparing inline document$")


class MissKind(StrEnum):
    """Why a step was not cached, as far as it is certain."""

    FIRST = "first"
    """No build of the project for the platform is recorded before it."""
    INPUT_DONE = "input done"
    """One of its inputs ran."""
    INPUT_NEW = "input new"
    """One of its inputs is a step that the other build didn't have."""
    REPLACED = "replaced"
    """The other build had another step in its place."""
    NEW = "new"
    """The other build had no such step."""
    UNFINISHED = "unfinished"
    """The other build had it, and did not finish it."""
    RESET = "reset"
    """The other build had another cache."""
    DROPPED = "dropped"
    """The other build had the same work, so its result was evicted, or the cache was disabled."""
    DEFINITION = "definition"
    """Its name and inputs are the same, but something that the name doesn't show differs."""
    FILES = "files"
    """It takes files whose digests no record has: they changed, or the result was evicted or the cache disabled."""
    UNKNOWN = "unknown"
    """The records don't show why."""


@dataclass(frozen=True, slots=True)
class CacheMiss:
    """Why a step was not cached.

    Attributes:
        build_id: the build it is compared with, if any.
        step: the number of the step in the same build that is the reason.
        name: the step of the other build that is the reason.
    """

    kind: MissKind
    build_id: str | None = None
    step: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ComparedBuild:
    """The steps of another build, for one platform.

    Attributes:
        is_other_cache: whether it certainly had another cache.
    """

    id: str
    steps: Sequence[Step]
    is_other_cache: bool


def cache_misses(steps: Sequence[Step], platform: str, before: ComparedBuild | None) -> dict[int, CacheMiss]:
    """Why steps of a platform that started were not cached, by their numbers.

    Steps that are never cached are left out: BuildKit's own, such as exporting, and those without inputs, as ``FROM``.

    Args:
        steps: all steps of the build.
        platform: only its steps are considered.
        before: the build to compare with.
    """
    graph = InputGraph(steps)
    comparison = None if before is None else _Comparison(before, steps, graph)
    by_number = {step.number: step for step in steps}
    found: dict[int, CacheMiss] = {}
    for step in steps:
        if step.platform == platform and not step.cached and step.started_at is not None and is_cacheable(step):
            inputs = [by_number[number] for number in graph.inputs_of(step.number)]
            done = [one for one in inputs if not one.cached and is_cacheable(one)]
            if done:
                found[step.number] = CacheMiss(MissKind.INPUT_DONE, step=min(one.number for one in done))
            elif comparison is None:
                found[step.number] = CacheMiss(MissKind.FIRST)
            else:
                found[step.number] = comparison.miss(step, inputs)
    return found


def is_cacheable(step: Step) -> bool:
    """Whether a step is an instruction with inputs, whose result can be cached."""
    return step.name.startswith("[") and not step.name.startswith(_INTERNAL) and bool(step.inputs)


class _Comparison:
    """Indexes of another build's steps."""

    def __init__(self, before: ComparedBuild, steps: Sequence[Step], graph: InputGraph) -> None:
        self._build_id = before.id
        self._is_other_cache = before.is_other_cache
        self._by_key = {step.work_key: step for step in before.steps}
        self._pinned = _built_on_pinned(steps, graph)
        ours = {step.work_key for step in steps}
        by_number = {step.number: step for step in before.steps}
        before_graph = InputGraph(before.steps)
        self._gone_after: dict[tuple[str, ...], list[Step]] = {}
        for step in before.steps:
            if step.work_key not in ours and is_cacheable(step):
                inputs = [by_number[number] for number in before_graph.inputs_of(step.number)]
                self._gone_after.setdefault(_keys(inputs), []).append(step)

    def miss(self, step: Step, inputs: Sequence[Step]) -> CacheMiss:
        """Why a step ran whose inputs were cached."""
        same = self._by_key.get(step.work_key)
        if same is None:
            return self._other_work(step, inputs)
        kind = self._kind(step, same)
        if kind is MissKind.UNKNOWN:
            sources = [one.number for one in inputs if not one.inputs and one.number not in self._pinned]
            if sources:
                return CacheMiss(MissKind.FILES, self._build_id, step=min(sources))
        return CacheMiss(kind, self._build_id)

    def _other_work(self, step: Step, inputs: Sequence[Step]) -> CacheMiss:
        new = [one.number for one in inputs if one.work_key not in self._by_key]
        if new:
            return CacheMiss(MissKind.INPUT_NEW, self._build_id, step=min(new))
        gone = self._gone_after.get(_keys(inputs), [])
        if len(gone) == 1:
            return CacheMiss(MissKind.REPLACED, self._build_id, name=gone[0].name)
        return CacheMiss(MissKind.NEW, self._build_id)

    def _kind(self, step: Step, same: Step) -> MissKind:
        if same.error is not None or same.completed_at is None:
            return MissKind.UNFINISHED
        if self._is_other_cache:
            return MissKind.RESET
        if same.digest == step.digest:
            return MissKind.DROPPED if step.number in self._pinned else MissKind.UNKNOWN
        return MissKind.DEFINITION if sorted(same.inputs) == sorted(step.inputs) else MissKind.UNKNOWN


def _built_on_pinned(steps: Sequence[Step], graph: InputGraph) -> set[int]:
    """The steps that build only on sources with fixed contents."""
    by_number = {step.number: step for step in steps}
    pinned: set[int] = set()
    for number in inputs_first(by_number, graph.inputs_of):
        step, inputs = by_number[number], graph.inputs_of(number)
        if step.inputs:
            is_pinned = len(inputs) == len(step.inputs) and all(one in pinned for one in inputs)
        else:
            is_pinned = _PINNED.search(step.name) is not None
        if is_pinned:
            pinned.add(number)
    return pinned


def _keys(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(sorted(step.work_key for step in steps))
