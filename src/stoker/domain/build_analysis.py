"""The analysis of a build's steps: critical path, cache misses and base images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stoker.domain.base_images import BaseImage, base_images
from stoker.domain.cache_misses import CacheMiss, cache_misses
from stoker.domain.critical_path import CriticalPath, critical_path
from stoker.domain.slower_steps import SlowerStep, slower_steps
from stoker.domain.slowest_steps import slowest_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from stoker.domain.cache_misses import ComparedBuild
    from stoker.domain.steps import Step

_SLOWEST = 5


@dataclass(frozen=True, slots=True)
class BuildAnalysis:
    """The result of the analysis.

    Attributes:
        is_whole: False if there are too many steps to analyse; then all else is empty.
        slowest: the few steps that took longest, the slowest first.
        misses: why steps were not cached, by their numbers.
        slower: the steps that took much longer than in the build that was compared with.
    """

    is_whole: bool
    path: CriticalPath = field(default_factory=CriticalPath)
    slowest: tuple[Step, ...] = ()
    misses: Mapping[int, CacheMiss] = field(default_factory=dict[int, CacheMiss])
    images: tuple[BaseImage, ...] = ()
    slower: tuple[SlowerStep, ...] = ()


def analyse(steps: Sequence[Step], before: Mapping[str, ComparedBuild], now: datetime | None = None) -> BuildAnalysis:
    """Analyse all steps of a build.

    Args:
        steps: all of them.
        before: the build to compare with, by platform.
        now: the end of steps that still run; None if the build is over.
    """
    misses: dict[int, CacheMiss] = {}
    for platform in sorted({step.platform for step in steps}):
        misses |= cache_misses(steps, platform, before.get(platform))
    timed = steps if now is None else [step.until(now) for step in steps]
    return BuildAnalysis(
        is_whole=True,
        path=critical_path(timed),
        slowest=slowest_steps(timed, _SLOWEST),
        misses=misses,
        images=base_images(steps),
        slower=slower_steps(steps, [step for compared in before.values() for step in compared.steps]),
    )
