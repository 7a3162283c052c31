"""What projects and organizations used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.usage import DayUsage, OrganizationUsage, Period, checked_period, days_of
from stoker.services.lookup import require_project
from stoker.store import usage as usage_store
from stoker.store.usage_by_day import usage_by_day

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.pagination import Page, PageRequest
    from stoker.domain.principals import Principal
    from stoker.domain.usage import ProjectUsage
    from stoker.services.core import Core


class UsageService:
    """The use cases around usage. Each takes a period as `checked_period` does."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def of_project(
        self, principal: Principal, project_id: str, start: datetime | None, end: datetime | None
    ) -> ProjectUsage:
        """What one project used.

        Raises:
            InvalidInput: there can be no such period.
            NotFound: there is no such project, or it isn't the caller's.
        """
        now = self._core.now()
        period = checked_period(start, end, now)
        async with self._core.database.read() as tx:
            project = await require_project(tx, principal, project_id)
            return await usage_store.project_usage(tx, project.id, period, now)

    async def of_projects(
        self, principal: Principal, start: datetime | None, end: datetime | None, page: PageRequest
    ) -> Page[ProjectUsage]:
        """A page of what each project used that the caller's organization had in the period, the oldest first.

        Raises:
            InvalidInput: there can be no such period.
        """
        now = self._core.now()
        period = checked_period(start, end, now)
        async with self._core.database.read() as tx:
            return await usage_store.list_project_usage(tx, principal.organization_id, period, now, page)

    async def of_organization(
        self, principal: Principal, start: datetime | None, end: datetime | None
    ) -> OrganizationUsage:
        """What the caller's organization used.

        Raises:
            InvalidInput: there can be no such period.
        """
        now = self._core.now()
        period = checked_period(start, end, now)
        organization_id = principal.organization_id
        async with self._core.database.read() as tx:
            projects = await usage_store.projects_with_builds(tx, organization_id, period, now)
            cache_bytes = await usage_store.organization_cache_bytes(tx, organization_id)
        return OrganizationUsage(period, projects, cache_bytes)

    async def by_day(self, principal: Principal, start: datetime | None, end: datetime | None) -> list[DayUsage]:
        """What the caller's organization used on each day of a period, up to today.

        Raises:
            InvalidInput: there can be no such period.
        """
        now = self._core.now()
        period = checked_period(start, end, now)
        async with self._core.database.read() as tx:
            known = await usage_by_day(tx, principal.organization_id, period, now)
        return [known.get(day) or DayUsage(day) for day in days_of(Period(period.start, period.until(now)))]
