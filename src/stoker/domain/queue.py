"""The queue of builds that wait for a machine, and who is next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from stoker.domain.platforms import Platform


@dataclass(frozen=True, slots=True)
class Waiting:
    """A build that waits for a machine of one platform, until ``expires_at`` unless its client asks again."""

    id: str
    build_id: str
    platform: Platform
    organization_id: str
    project_id: str
    created_at: datetime
    expires_at: datetime

    @property
    def came(self) -> tuple[datetime, str]:
        """The sort key of the queue. Ids alone contain the time of a clock that may have been set since."""
        return (self.created_at, self.id)


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """How many builds may hold machines at once: in a project, in an organization, and in all; 0 is no limit."""

    per_project: int
    per_organization: int
    on_server: int


@dataclass(frozen=True, slots=True)
class Holding:
    """A build that holds machines now."""

    build_id: str
    organization_id: str
    project_id: str


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """A build that waits, and its position in the queue of its organization. The first has position 1.

    ``reason`` is set when it is the build's turn (position 0), but there is no room for its machine yet.
    """

    waiting: Waiting
    position: int
    reason: str | None = None


def next_in_queue(waiting: Sequence[Waiting], holding: Iterable[Holding], limits: BuildLimits) -> list[Waiting]:
    """The waiting builds that may have a machine now.

    Within an organization, first come is first served, but builds of a project at its limit are overtaken. Among
    organizations, the one that holds the least is served first, so that no number of builds of one delays another's.
    A build that holds a machine already gets those for its other platforms at once. Otherwise two builds could wait
    for each other.
    """
    served: list[Waiting] = []
    held = {build.build_id: build for build in holding}
    projects = Counter(build.project_id for build in held.values())
    organizations = Counter(build.organization_id for build in held.values())
    left = sorted(waiting, key=lambda one: one.came)
    while True:
        candidates = [
            one
            for one in left
            if one.build_id in held
            or (
                has_room(projects[one.project_id], limits.per_project)
                and has_room(organizations[one.organization_id], limits.per_organization)
                and has_room(len(held), limits.on_server)
            )
        ]
        if not candidates:
            return served
        one = min(candidates, key=lambda one: (one.build_id not in held, organizations[one.organization_id], one.came))
        served.append(one)
        left.remove(one)
        if one.build_id not in held:
            held[one.build_id] = Holding(one.build_id, one.organization_id, one.project_id)
            projects[one.project_id] += 1
            organizations[one.organization_id] += 1


def places(waiting: Iterable[Waiting]) -> list[QueuePlace]:
    """Each build of one organization's queue with its position, in order."""
    ordered = sorted(waiting, key=lambda one: one.came)
    return [QueuePlace(one, position) for position, one in enumerate(ordered, start=1)]


def has_room(count: int, limit: int) -> bool:
    """Whether one more is within a limit; 0 is no limit."""
    return not limit or count < limit
