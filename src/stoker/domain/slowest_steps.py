"""The steps of a build that took longest."""

from __future__ import annotations

import heapq
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.domain.steps import Step


def slowest_steps(steps: Sequence[Step], most: int) -> tuple[Step, ...]:
    """Up to ``most`` steps that took longest, the slowest first. Steps that were cached took no time of their own."""
    ran = [step for step in steps if not step.cached and step.duration]
    return tuple(heapq.nlargest(most, ran, key=lambda step: (step.duration or timedelta(0), -step.number)))
