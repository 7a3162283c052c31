"""Machines, as people look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.services.lookup import require_organization, require_project
from stoker.store.machine_facts import facts_of_machines

if TYPE_CHECKING:
    from stoker.domain.machines import MachineFacts
    from stoker.domain.principals import Principal
    from stoker.services.core import Core


class MachineService:
    """The use case of looking at machines."""

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
