"""Machines, for people."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.machines import MachineOverview
from stoker.domain.pagination import Page, numbered_page
from stoker.domain.usage import checked_period, gigabyte_days
from stoker.services.lookup import require_organization, require_project
from stoker.services.wakeups import builds_topic, machines_topic
from stoker.store.machine_facts import facts_of_machines, find_machines
from stoker.store.machine_use import holders_of_machines, last_uses_of_machines, times_of_machines

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from stoker.domain.machines import MachineFacts
    from stoker.domain.pagination import NumberedPageRequest
    from stoker.domain.principals import Principal
    from stoker.services.core import Core
    from stoker.services.wakeups import Subscription

_MOST_HOLDERS = 5


class MachineService:
    """Use cases of showing machines."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def list(self, principal: Principal, organization_id: str, project_id: str) -> list[MachineFacts]:
        """The machines of an organization, or of one project when it is given.

        Raises:
            NotFound: there is no such organization or project, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            if project_id:
                project = await require_project(tx, principal, project_id)
                return await facts_of_machines(tx, project.organization_id, project.id)
            organization = await require_organization(tx, principal, organization_id)
            return await facts_of_machines(tx, organization.id, principal.project_id)

    async def overview(
        self, principal: Principal, organization_id: str, page: NumberedPageRequest
    ) -> Page[MachineOverview]:
        """A page of an organization's machines, running ones first, with their usage of this month (in UTC).

        Raises:
            NotFound: there is no such organization, or it isn't the caller's.
        """
        now = self._core.now()
        period = checked_period(None, None, now)
        async with self._core.database.read() as tx:
            organization = await require_organization(tx, principal, organization_id)
            found = numbered_page(await find_machines(tx, organization.id, page.after or 0, page.size + 1), page)
            ids = [one.facts.id for one in found.items]
            holders = await holders_of_machines(tx, ids, _MOST_HOLDERS)
            last_uses = await last_uses_of_machines(tx, ids)
            times = await times_of_machines(tx, ids, period, now)
        items = tuple(
            MachineOverview(
                facts=one.facts,
                project_name=one.project_name,
                hardware=one.hardware,
                keep_bytes=one.keep_bytes,
                holders=holders.get(one.facts.id, ()),
                last_used_at=last_uses.get(one.facts.id),
                machine_time=times.get(one.facts.id, timedelta(0)),
                gigabyte_days=gigabyte_days(one.facts.volume_bytes or 0, one.volume_since or now, period, now),
            )
            for one in found.items
        )
        return Page(items, found.next_token)

    def follow(self, organization_id: str) -> AbstractContextManager[Subscription]:
        """Wake-ups for a reader who follows an organization's machines live: their states, and builds that use them."""
        return self._core.wakeups.subscribe(machines_topic(organization_id), builds_topic(organization_id))
