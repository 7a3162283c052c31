"""Overviews of organizations, projects and builds: a few numbers for each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput

if TYPE_CHECKING:
    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.builds import Build, BuildFilter
    from stoker.domain.people import Role
    from stoker.domain.projects import Organization, Project

OVERVIEW_PERIOD = timedelta(days=7)
"""The period of an organization's numbers of builds."""

RATED_BUILDS = 20
"""A project's success rate is that of its last builds, so many."""

MAX_SEARCH_LENGTH = 128


def checked_search(text: str) -> str:
    """A text that is searched for.

    Raises:
        InvalidInput: it is too long.
    """
    if len(text) > MAX_SEARCH_LENGTH:
        raise InvalidInput(f"the search has {len(text)} characters; {MAX_SEARCH_LENGTH} is the most")
    return text


def check_filter(wanted: BuildFilter) -> None:
    """Check the texts of a filter of builds.

    Raises:
        InvalidInput: one of them is too long.
    """
    for text in (wanted.begun_by, wanted.search, wanted.branch, wanted.target):
        checked_search(text)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How builds ended. Canceled builds don't count in the success rate."""

    succeeded: int = 0
    failed: int = 0

    @property
    def rated(self) -> int:
        """How many builds the success rate counts."""
        return self.succeeded + self.failed


@dataclass(frozen=True, slots=True)
class NamedBuild:
    """A build, with its project's name."""

    build: Build
    project_name: str


@dataclass(frozen=True, slots=True)
class OrganizationFigures:
    """The numbers of one organization.

    Attributes:
        projects: how many it has.
        builds: how many were created in the last `OVERVIEW_PERIOD`.
        outcomes: how those ended.
        running: how many run now, whenever they were created.
        waiting: how many are in the queue now.
        last_builds: the newest ones, the newest first.
    """

    projects: int = 0
    builds: int = 0
    outcomes: Outcomes = Outcomes()
    running: int = 0
    waiting: int = 0
    last_builds: tuple[NamedBuild, ...] = ()


@dataclass(frozen=True, slots=True)
class OrganizationOverview:
    """An organization in a member's overview."""

    organization: Organization
    role: Role
    figures: OrganizationFigures


@dataclass(frozen=True, slots=True)
class ProjectOverview:
    """A project in a list.

    Attributes:
        project: the project.
        cache_bytes: the size of its caches as they were last measured; None when none was.
        last_build: its newest build.
        outcomes: how its last `RATED_BUILDS` builds ended.
    """

    project: Project
    cache_bytes: int | None
    last_build: Build | None
    outcomes: Outcomes


@dataclass(frozen=True, slots=True)
class BuildOverview:
    """A build in a list.

    Attributes:
        build: the build.
        origin: where it comes from.
        platforms: those that it has or had machines for, or waits for.
        position: its position in its organization's queue while it waits, from 1.
        steps: how many are recorded.
        cached_steps: how many of them were cached.
    """

    build: Build
    origin: BuildOrigin
    platforms: tuple[str, ...]
    position: int | None
    steps: int
    cached_steps: int
