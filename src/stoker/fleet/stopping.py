"""Stops machines: idle ones, those that ended by themselves, and those whose start failed."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.machines import (
    Action,
    Desired,
    Machine,
    MachineState,
    checked_transition,
    crash_delay_seconds,
    next_action,
    retry_delay_seconds,
)
from stoker.fleet.memory_shortage import MEMORY_ADVICE, memory_note
from stoker.runtimes.errors import RuntimeFailed
from stoker.services.moved_caches import follow_move
from stoker.services.wakeups import FLEET, VOLUMES, machine_topic
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import projects as project_store
from stoker.store import volumes as volume_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from stoker.fleet.cache_inspection import CacheInspection
    from stoker.fleet.machine_writer import MachineWriter
    from stoker.runtimes.sites import Sites
    from stoker.services.core import Core
    from stoker.settings.fleet import FleetSettings
    from stoker.store.database import Transaction

_log = logging.getLogger(__name__)


class MachineStopping:
    """Stops machines that the controller has claimed."""

    def __init__(
        self,
        core: Core,
        sites: Sites,
        cache_inspection: CacheInspection,
        writer: MachineWriter,
        options: FleetSettings,
    ) -> None:
        self._core = core
        self._sites = sites
        self._cache_inspection = cache_inspection
        self._writer = writer
        self._options = options

    async def stop(self, machine: Machine) -> None:
        """Stop an idle machine, unless a build has taken it in the meantime."""
        async with self._core.database.write() as tx:
            await tx.lock(Lock.PROJECT, machine.project_id)
            current = await machine_store.find_machine(tx, machine.id)
            leases = await lease_store.count_live_leases(tx, machine.id)
            if current is None:
                return
            idle_timeout = self._options.idle_timeout
            if next_action(current, live_leases=leases, now=self._core.now(), idle_timeout=idle_timeout) != Action.STOP:
                return
            if leases == 0:
                await machine_store.set_desired(tx, machine.id, Desired.STOPPED)
            stopping = replace(current, state=checked_transition(current.state, MachineState.STOPPING))
            await self._writer.save_in(tx, stopping)
        self._writer.wake_readers(machine)
        # With its state of before: it still runs.
        if machine.build_id is None:
            await self._cache_inspection.store_contents(current)
        await self.finish(stopping, orderly=True)

    async def finish(
        self, machine: Machine, *, orderly: bool = False, damage: str | None = None, waits_for: str | None = None
    ) -> None:
        """Stop a machine that is STOPPING, such as one whose controller died meanwhile.

        Args:
            machine: the machine.
            orderly: it was ready until now, so what it leaves behind is worth keeping.
            damage: what it said of its volume, which made it end.
            waits_for: why there was no room for it.
        """
        keeps_volume = machine.build_id is None and not machine.volume_given_up
        try:
            grace = 0 if machine.build_id is not None else self._options.stop_grace_seconds
            whole = await self._sites.runtime_of(machine.region_id).stop(machine.id, grace)
            if damage is not None and machine.volume_id is not None:
                machine = replace(machine, error=await self._restore_volume(machine, machine.volume_id, damage))
        except RuntimeFailed as error:
            delay = retry_delay_seconds(machine.failures + 1)
            _log.exception("machine %s could not be stopped; trying again in %g s", machine.id, delay)
            retry_at = self._core.now() + timedelta(seconds=delay)
            await self._writer.save(
                replace(machine, failures=machine.failures + 1, retry_at=retry_at, error=str(error))
            )
            return
        if orderly and whole and keeps_volume and machine.volume_id is not None:
            await self._save_volume(machine, machine.volume_id)
        retry_at, crashes = None, 0 if orderly and whole else machine.crashes
        if crashes and (delay := crash_delay_seconds(crashes)):
            retry_at = self._core.now() + timedelta(seconds=delay)
        # With another volume it can be tried again at once.
        if machine.failures and damage is None:
            retry_at = self._core.now() + timedelta(seconds=retry_delay_seconds(machine.failures))
        stopped = replace(
            machine,
            state=checked_transition(machine.state, MachineState.STOPPED),
            placement=None,
            volume_id=None,
            retry_at=retry_at,
            crashes=crashes,
        )
        if waits_for is not None:
            await self._writer.wait_for_room(stopped, waits_for)
            async with self._core.database.write() as tx:
                await tx.lock(Lock.PROJECT, machine.project_id)
                await self._follow_move(tx, machine)
        else:
            async with self._core.database.write() as tx:
                await tx.lock(Lock.PROJECT, machine.project_id)
                await self._writer.save_in(tx, stopped)
                await self._follow_move(tx, machine)
                await machine_store.retry_waiting_machines(tx, machine.region_id)
            self._writer.wake_readers(machine)
            _log.info("machine %s is stopped", machine.id)
        self._core.wakeups.wake(machine_topic(machine.id), FLEET, VOLUMES)

    async def clean_up_after_exit(self, machine: Machine) -> None:
        """Fail the builds of a machine that ended by itself, and remove what is left of it."""
        ending = await self._sites.runtime_of(machine.region_id).why_ended(machine.id)
        reason = "the machine's BuildKit ended unexpectedly; build again, the cache is kept"
        if ending.out_of_memory:
            reason = f"{memory_note(machine)}, and its BuildKit was killed; {MEMORY_ADVICE}"
        _log.warning("machine %s ended by itself; its builds fail: %s", machine.id, reason)
        crashed = replace(machine, crashes=machine.crashes + 1)
        if crashed.keeps_crashing:
            delay = crash_delay_seconds(crashed.crashes)
            reason = f"{reason}; that was {crashed.crashes} times in a row, so it starts again in {delay:g} s"
            _log.error("machine %s of project %s: %s", machine.id, machine.project_id, reason)
        stopping = await self._writer.move(crashed, MachineState.STOPPING, fail_builds=reason, error=reason)
        await self.finish(stopping)

    async def _follow_move(self, tx: Transaction, machine: Machine) -> None:
        """When a machine's project was moved to another site while it ran, its volume is given up."""
        project = await project_store.find_project(tx, machine.project_id)
        if project is not None and not self._sites.is_one_site(machine.region_id, project.region_id):
            await follow_move(self._core, tx, project, self._sites.is_one_site)

    async def _save_volume(self, machine: Machine, volume_id: str) -> None:
        snapshots = self._sites.snapshots_of(machine.region_id)
        try:
            if snapshots is not None:
                await snapshots.save(volume_id)
        except RuntimeFailed:
            _log.exception("volume %s could not be saved; the snapshot before stays, if there is one", volume_id)

    async def _restore_volume(self, machine: Machine, volume_id: str, damage: str) -> str:
        """Replace a damaged volume. Returns the note that is stored with it."""
        snapshots = self._sites.snapshots_of(machine.region_id)
        if snapshots is None:
            await self._sites.volumes_of(machine.region_id).delete(volume_id)
            note = f"volume {volume_id} was damaged ({damage}) and is deleted; an empty one is used instead"
        else:
            instead = "its last good snapshot" if await snapshots.restore(volume_id) else "an empty one"
            note = f"volume {volume_id} was damaged ({damage}) and is set aside; {instead} is used instead"
        _log.error("machine %s: %s", machine.id, note)
        async with self._core.database.write() as tx:
            await volume_store.note_volume_problem(tx, volume_id, note)
        return note
