"""Stores the state of machines under the controller's claim, and wakes whoever waits for a change.

Each step is stored before the next begins, so that another controller can go on from wherever this one died.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.machines import Machine, MachineState, checked_transition
from stoker.services.build_completion import (
    explain_failures_of_machine,
    fail_builds_of_machine,
    hint_builds_of_machine,
    wake_ended,
)
from stoker.services.wakeups import machines_topic
from stoker.store import machines as machine_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from stoker.services.core import Core
    from stoker.settings.fleet import FleetSettings
    from stoker.store.database import Transaction

NO_ROOM = "the build waited for room for its machine"

_log = logging.getLogger(__name__)


class MachineWriter:
    """Stores machines that the controller has claimed with ``claim``."""

    def __init__(self, core: Core, options: FleetSettings, claim: str) -> None:
        self._core = core
        self._options = options
        self._claim = claim

    async def save(self, machine: Machine) -> Machine:
        """Store a machine."""
        async with self._core.database.write() as tx:
            await self.save_in(tx, machine)
        self.wake_readers(machine)
        return machine

    async def save_in(self, tx: Transaction, machine: Machine) -> None:
        """Store a machine in a transaction. Call `wake_readers` after it."""
        await machine_store.save_claimed(tx, machine, self._claim, self._core.now())

    async def move(
        self, machine: Machine, state: MachineState, *, fail_builds: str | None = None, error: str | None = None
    ) -> Machine:
        """Store a machine in another state.

        Args:
            machine: the machine.
            state: the state that it enters.
            fail_builds: the error with which its builds fail; None lets them go on.
            error: what went wrong; None keeps the machine's last error.
        """
        moved = replace(machine, state=checked_transition(machine.state, state), error=error or machine.error)
        ended: list[str] = []
        async with self._core.database.write() as tx:
            await tx.lock(Lock.PROJECT, machine.project_id)
            await self.save_in(tx, moved)
            if fail_builds is not None:
                # Before others fail of it, whose error is the explanation.
                ended = await explain_failures_of_machine(self._core, tx, machine, fail_builds)
                ended += await fail_builds_of_machine(self._core, tx, machine.id, fail_builds)
        wake_ended(self._core, ended)
        self.wake_readers(machine)
        return moved

    async def refuse(self, machine: Machine, reason: str) -> None:
        """Store that a machine can't ever start, and fail its builds."""
        _log.error("machine %s can't be started: %s", machine.id, reason)
        async with self._core.database.write() as tx:
            await tx.lock(Lock.PROJECT, machine.project_id)
            await self.save_in(tx, replace(machine, error=reason, waits_for=None, waits_since=None))
            await machine_store.end_prewarming(tx, machine.id)
            ended = await fail_builds_of_machine(self._core, tx, machine.id, reason)
        wake_ended(self._core, ended)
        self.wake_readers(machine)

    async def wait_for_room(self, machine: Machine, reason: str, *, retry: bool = True) -> None:
        """Store that a stopped machine waits for room, and tell its builds why. No failure is counted.

        Args:
            machine: the machine.
            reason: why there is no room for it.
            retry: try it again after a pause; otherwise it waits behind another machine.
        """
        now = self._core.now()
        retry_at = now + timedelta(seconds=self._options.room_seconds) if retry else None
        waiting = replace(machine, waits_for=reason, waits_since=machine.waits_since or now, retry_at=retry_at)
        async with self._core.database.write() as tx:
            await tx.lock(Lock.PROJECT, machine.project_id)
            await self.save_in(tx, waiting)
            await hint_builds_of_machine(tx, machine.id, f"{NO_ROOM}: {reason}")
        if machine.waits_for != reason:
            _log.info("machine %s of project %s waits for room: %s", machine.id, machine.project_id, reason)
        self.wake_readers(machine)

    async def leave_queue(self, machine: Machine) -> None:
        """Store that a machine no longer waits for room, because no build needs it."""
        async with self._core.database.write() as tx:
            await self.save_in(tx, replace(machine, waits_for=None, waits_since=None, retry_at=None))
            await machine_store.end_prewarming(tx, machine.id)

    def wake_readers(self, machine: Machine) -> None:
        """Wake whoever reads an organization's machines."""
        self._core.wakeups.wake(machines_topic(machine.organization_id))
