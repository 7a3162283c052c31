"""Cancels builds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stoker.domain.audit import Action
from stoker.domain.builds import BuildResult, BuildStatus, canceled_by, require_running
from stoker.domain.machines import Desired
from stoker.domain.principals import CredentialKind
from stoker.domain.steps import RecordState
from stoker.services.audit_log import actor_of, build_party, record
from stoker.services.build_completion import end_build, wake_ended
from stoker.services.lookup import require_build
from stoker.services.wakeups import FLEET
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import people as person_store
from stoker.store import solves as solve_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stoker.domain.principals import Principal
    from stoker.services.core import Core
    from stoker.store.database import Transaction

    CutSolves = Callable[[str], Awaitable[bool]]

_log = logging.getLogger(__name__)


class CancellationService:
    """Cancels running builds for their project's members."""

    def __init__(self, core: Core, cut_solves: CutSolves) -> None:
        """Cancel builds.

        Args:
            core: what every service needs.
            cut_solves: ends the solves of a build, given its id; False if there are none, or they can't be ended.
        """
        self._core = core
        self._cut_solves = cut_solves

    async def cancel(self, principal: Principal, build_id: str) -> None:
        """End a running build as canceled, with its solves. Their clients get an error that says who canceled it.

        Raises:
            FailedPrecondition: it has ended already.
            NotFound: there is none, or it isn't the caller's.
        """
        async with self._core.database.write(durable=True) as tx:
            build = await require_build(tx, principal, build_id)
            require_running(build)
            reason = canceled_by(await _name_of(tx, principal))
            solves = (await solve_store.solves_of_builds(tx, [build.id])).get(build.id, [])
            if not await end_build(self._core, tx, build.id, BuildResult(BuildStatus.CANCELED, reason)):
                require_running(await require_build(tx, principal, build_id))
            target = build_party(build)
            await record(self._core, tx, principal, Action.BUILD_CANCEL, target, build.organization_id)
        wake_ended(self._core, [build.id])
        machines = {one.machine_id for one in solves if one.record in {RecordState.FOLLOWING, None}}
        if machines and not await self._cut_solves(build.id):
            await self._stop_unused(build.project_id, machines)

    async def _stop_unused(self, project_id: str, machine_ids: set[str]) -> None:
        """Stop machines that no build holds, and with them the solves that could not be ended."""
        async with self._core.database.write() as tx:
            await tx.lock(Lock.PROJECT, project_id)
            for machine_id in machine_ids:
                if await lease_store.count_live_leases(tx, machine_id) == 0:
                    await machine_store.set_desired(tx, machine_id, Desired.STOPPED)
                else:
                    _log.warning("a canceled build's solve may still run on machine %s, which others hold", machine_id)
        self._core.wakeups.wake(FLEET)


async def _name_of(tx: Transaction, principal: Principal) -> str:
    """A caller as strangers may know them: clients of the build may be anybody."""
    if principal.kind is CredentialKind.USER:
        person = await person_store.find_person(tx, principal.person_id or "")
        return "" if person is None else person.name
    party = await actor_of(tx, principal)
    return f"the {party.kind} {party.name or party.id}"
