"""The contents of projects' caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.cache_contents import CacheReport, Outlook, checked_policies, freed_by
from stoker.services.lookup import require_project
from stoker.store import cache_contents as contents_store
from stoker.store import machines as machine_store
from stoker.store import volumes as volume_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stoker.domain.cache_contents import CacheContents
    from stoker.domain.cache_policy import CachePolicy
    from stoker.domain.machines import Machine
    from stoker.domain.principals import Principal
    from stoker.services.core import Core


class CacheService:
    """Use case of showing caches.

    Args:
        core: what every service needs.
        look: asks a machine that runs; None when it doesn't run or doesn't say.
    """

    def __init__(self, core: Core, look: Callable[[Machine], Awaitable[CacheContents | None]]) -> None:
        self._core = core
        self._look = look

    async def show(self, principal: Principal, project_id: str, policies: Sequence[CachePolicy]) -> list[CacheReport]:
        """The contents of a project's caches, and what its policy and others would evict: a report for each platform.

        Raises:
            InvalidInput: there are too many policies, or they can't be.
            NotFound: there is no such project, or it isn't the caller's.
        """
        checked_policies(policies)
        async with self._core.database.read() as tx:
            project = await require_project(tx, principal, project_id)
            machines = await machine_store.machines_of(tx, project.id)
        asked = [(project.cache_policy, True), *((policy, False) for policy in policies)]
        reports: list[CacheReport] = []
        # The volume of an untrusted build is ephemeral, and no part of the project's cache.
        kept = [machine for machine in machines if machine.build_id is None]
        for machine in sorted(kept, key=lambda machine: machine.platform):
            contents = await self._look(machine) or await self._remembered(machine)
            if contents is None:
                continue
            now = self._core.now()
            outlooks = [Outlook(policy, own, freed_by(contents.records, policy, now)) for policy, own in asked]
            reports.append(CacheReport(machine.platform, contents, tuple(outlooks)))
        return reports

    async def _remembered(self, machine: Machine) -> CacheContents | None:
        async with self._core.database.read() as tx:
            volume = await volume_store.active_volume(tx, machine.project_id, machine.platform)
            return None if volume is None else await contents_store.find_contents(tx, volume.id)
