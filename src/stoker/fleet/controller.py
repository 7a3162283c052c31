"""Makes machines match leases.

One loop checks all machines that aren't stopped. It runs when it is woken, and when a machine's waiting time ends.
The work on each machine is a task of its own. A claim in the database keeps other controllers away from the machine.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from stoker.domain.machines import (
    Action,
    Machine,
    MachineState,
    Wait,
    first_in_line,
    next_action,
    retry_delay_seconds,
)
from stoker.fleet.memory_shortage import note_killed_steps
from stoker.fleet.start_slots import StartSlots
from stoker.runtimes.contract import Observed
from stoker.runtimes.errors import RuntimeFailed
from stoker.services.wakeups import FLEET
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import volumes as volume_store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
    from datetime import datetime

    from stoker.domain.volumes import Volume
    from stoker.fleet.housekeeping import Housekeeping
    from stoker.fleet.machine_writer import MachineWriter
    from stoker.fleet.starting import MachineStarting
    from stoker.fleet.stopping import MachineStopping
    from stoker.runtimes.site import Site
    from stoker.runtimes.sites import Sites
    from stoker.services.core import Core
    from stoker.settings.fleet import FleetSettings

_SETTLE_SECONDS = 10.0
# How often in its lifetime a claim is renewed.
_RENEWALS = 3

_log = logging.getLogger(__name__)


class FleetController:
    """The only one who starts and stops machines."""

    def __init__(
        self,
        core: Core,
        sites: Sites,
        starting: MachineStarting,
        stopping: MachineStopping,
        writer: MachineWriter,
        housekeeping: Housekeeping,
        options: FleetSettings,
        claim: str,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._core = core
        self._sites = sites
        self._starting = starting
        self._stopping = stopping
        self._writer = writer
        self._housekeeping = housekeeping
        self._options = options
        self._claim = claim
        self._pause = pause
        self._work: dict[str, asyncio.Task[None]] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        # The claim is one of this whole process, so it keeps no two of its tasks from a machine.
        self._alone: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._starts = StartSlots(options.parallel_starts)
        self._resting = False

    async def run(self) -> None:
        """Resume what is there, then work until cancelled."""
        self._resting = False
        try:
            with self._core.wakeups.subscribe(FLEET) as subscription:
                await self._resume()
                while True:
                    wait_until = await self._reconcile()
                    await subscription.wait(self._seconds_until(wait_until))
        finally:
            await self._end_tasks()

    async def rest(self, patience_seconds: float) -> None:
        """Begin nothing more, and wait for the work on machines to end, at most ``patience_seconds``.

        Cancel `run` afterwards.
        """
        self._resting = True
        if self._work:
            await asyncio.wait(self._work.values(), timeout=patience_seconds)

    async def settle(self) -> None:
        """Clean up after machines that were ready and are gone, before builds are taken. Builds would get them.

        After a power cut all are gone. What takes longer is left to `run`.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                machines = await self._drop_claims()
            async with asyncio.timeout(_SETTLE_SECONDS):
                ready = [machine for machine in machines if machine.state is MachineState.READY]
                await asyncio.gather(*(self._settle(machine) for machine in ready))

    async def _settle(self, machine: Machine) -> None:
        try:
            runtime = self._sites.runtime_of(machine.region_id)
            if await runtime.observe(machine.id, machine.placement) is Observed.ABSENT:
                await self._await_exit(machine)
        except Exception:
            _log.exception("machine %s could not be cleaned up yet", machine.id)

    async def _resume(self) -> None:
        """After a restart: adopt machines that run, clean up after those that don't, remove orphans."""
        machines = await self._drop_claims()
        for machine in machines:
            if machine.state is MachineState.READY:
                _log.info("machine %s was ready before the restart; watching it again", machine.id)
        async with self._core.database.read() as tx:
            volumes = await volume_store.known_volume_ids(tx)
        for site in self._sites:
            known = {
                machine.id
                for machine in machines
                if machine.state is not MachineState.STOPPED and self._sites.find(machine.region_id) is site
            }
            await self._resume_at(site, known, volumes)

    async def _resume_at(self, site: Site, machines: set[str], volumes: frozenset[str]) -> None:
        owned = await site.runtime.list_owned()
        for machine_id in sorted(owned.machines - machines):
            self._spawn(self._work, machine_id, self._remove_orphan(site, machine_id))
        # Without them, machines are stopped nevertheless: a broken volume store heals only when none uses it.
        for volume_id in sorted((owned.volumes or frozenset()) - volumes):
            _log.warning("volume %s belongs to no project that is known; it is left alone", volume_id)

    async def _drop_claims(self) -> list[Machine]:
        """Drop all claims, and return the machines that aren't stopped."""
        async with self._core.database.write() as tx:
            await machine_store.drop_all_claims(tx)
            return await machine_store.machines_to_look_at(tx)

    async def _remove_orphan(self, site: Site, machine_id: str) -> None:
        _log.warning("machine %s is left over; removing it", machine_id)
        try:
            await site.runtime.stop(machine_id, 0)
        except RuntimeFailed:
            _log.exception("the left-over machine %s could not be removed", machine_id)

    async def _reconcile(self) -> datetime | None:
        """Begin all that can be done now. Returns when to check again without being woken."""
        if self._resting:
            return None
        now = self._core.now()
        times: list[datetime] = []
        async with self._core.database.read() as tx:
            machines = await machine_store.machines_to_look_at(tx)
            live = await lease_store.live_leases_by_machine(tx)
            deletable = await volume_store.deletable_volumes(tx)
        self._housekeeping.prune_released(machines, live)
        held = [machine for machine in machines if live.get(machine.id)]
        for machine in machines:
            self._watch(machine)
            if machine.id in self._work:
                continue
            decision = next_action(
                machine, live_leases=len(live.get(machine.id, ())), now=now, idle_timeout=self._options.idle_timeout
            )
            if isinstance(decision, Wait):
                times.extend([] if decision.until is None else [decision.until])
                if machine.waits_for is not None and not live.get(machine.id):
                    self._spawn(self._work, machine.id, self._leave_queue(machine.id))
            elif decision is Action.START and (first := first_in_line(machine, held)).id != machine.id:
                if machine.waits_for is None:
                    self._spawn(self._work, machine.id, self._wait_in_queue(machine.id, first.waits_for or ""))
            else:
                self._spawn(self._work, machine.id, self._act(machine.id))
        for volume in deletable:
            if volume.retry_at is not None and volume.retry_at > now:
                times.append(volume.retry_at)
            elif volume.id not in self._work:
                self._spawn(self._work, volume.id, self._delete_volume(volume))
        return min(times, default=None)

    async def _act(self, machine_id: str) -> None:
        async with self._claimed(machine_id) as (machine, leases):
            if machine is None:
                return
            now = self._core.now()
            decision = next_action(machine, live_leases=leases, now=now, idle_timeout=self._options.idle_timeout)
            match decision:
                case Action.START:
                    async with self._starts.slot(machine.organization_id):
                        await self._starting.start(machine)
                case Action.FINISH_START:
                    await self._starting.finish(machine)
                case Action.STOP:
                    await self._stopping.stop(machine)
                case Action.FINISH_STOP:
                    await self._stopping.finish(machine)
                case Wait():
                    pass

    async def _wait_in_queue(self, machine_id: str, reason: str) -> None:
        """Let a machine wait in the queue for room, behind others."""
        async with self._claimed(machine_id) as (machine, _):
            if machine is not None and machine.state is MachineState.STOPPED:
                await self._writer.wait_for_room(machine, reason, retry=False)

    async def _leave_queue(self, machine_id: str) -> None:
        async with self._claimed(machine_id) as (machine, leases):
            if machine is not None and not leases and machine.state is MachineState.STOPPED:
                await self._writer.leave_queue(machine)

    @asynccontextmanager
    async def _claimed(self, machine_id: str) -> AsyncGenerator[tuple[Machine | None, int]]:
        """A machine under a claim, and the number of its live leases. None when another controller has the claim."""
        async with self._alone.setdefault(machine_id, asyncio.Lock()):
            now = self._core.now()
            async with self._core.database.write() as tx:
                until = now + self._options.claim_lifetime
                machine = await machine_store.claim_machine(tx, machine_id, self._claim, now, until)
                leases = await lease_store.count_live_leases(tx, machine_id)
            renewing = asyncio.create_task(self._renew(machine_id), name=f"claim on {machine_id}")
            try:
                yield machine, leases
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
                if machine is not None:
                    async with self._core.database.write() as tx:
                        await machine_store.release_claim(tx, machine_id, self._claim)

    async def _renew(self, machine_id: str) -> None:
        """Renew a claim until cancelled."""
        lifetime = self._options.claim_lifetime
        while True:
            await self._pause(lifetime.total_seconds() / _RENEWALS)
            try:
                async with self._core.database.write() as tx:
                    until = self._core.now() + lifetime
                    if not await machine_store.renew_claim(tx, machine_id, self._claim, until):
                        return
            except Exception:
                _log.exception("the claim on machine %s could not be renewed yet", machine_id)

    def _watch(self, machine: Machine) -> None:
        if machine.state is MachineState.READY and machine.id not in self._watches:
            self._spawn(self._watches, machine.id, self._await_exit(machine))

    async def _await_exit(self, machine: Machine) -> None:
        if machine.placement is not None:
            runtime = self._sites.runtime_of(machine.region_id)
            noting = asyncio.create_task(note_killed_steps(self._core, runtime, machine))
            try:
                await runtime.wait_exit(machine.id, machine.placement)
            finally:
                noting.cancel()
                await asyncio.gather(noting, return_exceptions=True)
        async with self._claimed(machine.id) as (current, _):
            if current is not None and current.run == machine.run and current.state is MachineState.READY:
                await self._stopping.clean_up_after_exit(current)

    async def _delete_volume(self, volume: Volume) -> None:
        try:
            await self._sites.volumes_of(volume.region_id).delete(volume.id)
        except RuntimeFailed as error:
            failures = volume.failures + 1
            _log.exception("volume %s could not be deleted", volume.id)
            async with self._core.database.write() as tx:
                await volume_store.mark_volume_delete_failed(
                    tx,
                    volume.id,
                    failures=failures,
                    retry_at=self._core.now() + timedelta(seconds=retry_delay_seconds(failures)),
                    error=str(error),
                )
            return
        async with self._core.database.write() as tx:
            await volume_store.mark_volume_deleted(tx, volume.id, self._core.now())
        _log.info("volume %s is deleted", volume.id)

    def _spawn(self, tasks: dict[str, asyncio.Task[None]], key: str, work: Coroutine[None, None, None]) -> None:
        async def run() -> None:
            try:
                await work
            except asyncio.CancelledError:
                raise
            except Exception:
                _log.exception("work on %s failed; looking again soon", key)
                await asyncio.sleep(1)
            finally:
                tasks.pop(key, None)
                self._core.wakeups.wake(FLEET)

        tasks[key] = asyncio.create_task(run(), name=f"fleet {key}")

    def _seconds_until(self, moment: datetime | None) -> float:
        longest = self._options.reconcile_seconds
        if moment is None:
            return longest
        return min(longest, max(0.0, (moment - self._core.now()).total_seconds()))

    async def _end_tasks(self) -> None:
        await self._housekeeping.stop()
        tasks = [*self._work.values(), *self._watches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
