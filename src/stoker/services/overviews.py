"""Overviews of organizations, projects and builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.build_origins import NO_ORIGIN
from stoker.domain.overviews import (
    OVERVIEW_PERIOD,
    BuildOverview,
    OrganizationFigures,
    OrganizationOverview,
    check_filter,
    checked_search,
)
from stoker.domain.pagination import Page
from stoker.services.lookup import require_organization, require_project
from stoker.services.wakeups import builds_topic
from stoker.store import build_origins as origin_store
from stoker.store import builds as build_store
from stoker.store import organizations as organization_store
from stoker.store import overviews as overview_store
from stoker.store import step_work as step_work_store

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from stoker.domain.builds import BuildFilter
    from stoker.domain.overviews import ProjectOverview
    from stoker.domain.pagination import PageRequest
    from stoker.domain.principals import Principal
    from stoker.services.core import Core
    from stoker.services.wakeups import Subscription

_LAST_BUILDS = 5


class OverviewService:
    """Use cases of overviews. The number of queries doesn't grow with projects or builds."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def organizations(self, principal: Principal) -> list[OrganizationOverview]:
        """The organizations of a person, the oldest membership first."""
        since = self._core.now() - OVERVIEW_PERIOD
        ids = principal.organization_ids
        async with self._core.database.read() as tx:
            known = {one.id: one for one in await organization_store.find_organizations(tx, ids)}
            figures = await overview_store.organization_figures(tx, ids, since, _LAST_BUILDS)
        return [
            OrganizationOverview(known[id_], role, figures.get(id_, OrganizationFigures()))
            for id_, role in principal.roles.items()
            if id_ in known
        ]

    async def projects(
        self, principal: Principal, organization_id: str, search: str, page: PageRequest
    ) -> Page[ProjectOverview]:
        """A page of an organization's projects by name; ``search`` is a part of the name, or an id.

        Raises:
            InvalidInput: the search is too long.
            NotFound: there is no such organization, or it isn't the caller's.
        """
        wanted = checked_search(search.strip())
        async with self._core.database.read() as tx:
            organization = await require_organization(tx, principal, organization_id)
            return await overview_store.list_project_overviews(tx, organization.id, wanted, page)

    async def builds(
        self, principal: Principal, project_id: str, wanted: BuildFilter, page: PageRequest
    ) -> Page[BuildOverview]:
        """A page of a project's builds that match a filter, the newest first, for a person.

        Raises:
            InvalidInput: a text of the filter is too long.
            NotFound: there is no such project, or it isn't the caller's.
        """
        check_filter(wanted)
        async with self._core.database.read() as tx:
            project = await require_project(tx, principal, project_id)
            found = await build_store.list_builds(tx, project.id, page, wanted, sees_people=True)
            ids = [build.id for build in found.items]
            platforms = await overview_store.platforms_of_builds(tx, ids)
            positions = await overview_store.positions_of_builds(tx, ids)
            origins = await origin_store.origins_of(tx, ids)
            counts = await overview_store.kept_step_counts(tx, ids)
            works = await step_work_store.work_of_builds(tx, [id_ for id_ in ids if id_ not in counts])
            counts |= {id_: (work.steps, work.cached_steps) for id_, (work, _) in works.items()}
        items: list[BuildOverview] = []
        for build in found.items:
            steps, cached = counts.get(build.id, (0, 0))
            items.append(
                BuildOverview(
                    build=build,
                    origin=origins.get(build.id, NO_ORIGIN),
                    platforms=platforms.get(build.id, ()),
                    position=positions.get(build.id),
                    steps=steps,
                    cached_steps=cached,
                )
            )
        return Page(tuple(items), found.next_token)

    def follow(self, owner_ids: Iterable[str]) -> AbstractContextManager[Subscription]:
        """Wake-ups for a reader who follows the builds of projects or organizations live, which cost these nothing."""
        return self._core.wakeups.subscribe(*map(builds_topic, owner_ids))
