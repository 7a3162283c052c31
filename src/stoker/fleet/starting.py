"""Starts machines: stores the start, fills the volume, runs BuildKit and waits until it is ready."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from stoker.buildkit.control import ControlCredentials, wait_until_ready
from stoker.domain.hardware import GIBIBYTE
from stoker.domain.machines import Desired, Machine, MachineState, checked_transition
from stoker.domain.privileges import privileges_of
from stoker.fleet.ephemeral_volumes import fill_volume, has_outlived_its_build, volume_of
from stoker.fleet.machine_writer import NO_ROOM
from stoker.fleet.memory_shortage import memory_note
from stoker.runtimes.contract import MachineCertificates, MachineSpec, Observed
from stoker.runtimes.errors import MachineStartFailed, NoRoomYet, RegionNotConfigured, RuntimeFailed
from stoker.runtimes.site import Later, Never, Room
from stoker.services.build_completion import unhint_builds_of_machine
from stoker.services.tracing import machine_cause
from stoker.services.wakeups import FLEET, machine_topic
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import projects as project_store
from stoker.store import volumes as volume_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stoker.domain.machines import Placement
    from stoker.fleet.housekeeping import Housekeeping
    from stoker.fleet.machine_writer import MachineWriter
    from stoker.fleet.stopping import MachineStopping
    from stoker.pki.certificates import Certificates
    from stoker.runtimes.sites import Sites
    from stoker.services.core import Core
    from stoker.settings.fleet import FleetSettings

# A damaged volume is replaced by its last good snapshot first, then by an empty one.
_VOLUMES_TO_TRY = 2

_log = logging.getLogger(__name__)


class _NotNeeded(Exception):
    """The machine's project was deleted, or the only build that it is for has ended."""


class MachineStarting:
    """Starts machines that the controller has claimed."""

    def __init__(
        self,
        core: Core,
        sites: Sites,
        certificates: Certificates,
        credentials: ControlCredentials,
        housekeeping: Housekeeping,
        stopping: MachineStopping,
        writer: MachineWriter,
        options: FleetSettings,
        wait_until_ready: Callable[[Placement, str, ControlCredentials], Awaitable[None]] = wait_until_ready,
    ) -> None:
        self._core = core
        self._sites = sites
        self._certificates = certificates
        self._credentials = credentials
        self._housekeeping = housekeeping
        self._stopping = stopping
        self._writer = writer
        self._options = options
        self._wait_until_ready = wait_until_ready

    async def start(self, machine: Machine) -> None:
        """Start a stopped machine. Where there is no room for it, it waits."""
        if not await self._has_room(machine):
            return
        try:
            starting, spec = await self._begin_start(machine)
        except _NotNeeded:
            return
        await self._complete_start(starting, spec)

    async def finish(self, machine: Machine) -> None:
        """Finish the start of a controller that died: wait until the machine is ready, or stop it to start it again."""
        observed = await self._sites.runtime_of(machine.region_id).observe(machine.id, machine.placement)
        if observed is Observed.UNKNOWN:
            raise RuntimeFailed(f"machine {machine.id} can't be observed; looking again")
        if observed is Observed.RUNNING and machine.placement is not None:
            try:
                async with asyncio.timeout(self._options.start_timeout_seconds):
                    await self._wait_ready(machine)
            except (RuntimeFailed, TimeoutError) as error:
                await self._fail_start(machine, str(error) or "it was not ready in time")
            else:
                await self._become_ready(machine)
            return
        await self._stopping.finish(await self._writer.move(machine, MachineState.STOPPING))

    async def _has_room(self, machine: Machine) -> bool:
        """Whether there is room for a machine. Otherwise it waits, or where there never is any, its builds fail."""
        async with self._core.database.read() as tx:
            project = await project_store.find_project(tx, machine.project_id)
        if project is None:
            return True
        try:
            found = await self._sites.of(project.region_id).capacity(machine.platform, project.hardware.size)
        except RegionNotConfigured as error:
            found = Never(str(error))
        if isinstance(found, Room):
            return True
        machine = replace(machine, region_id=project.region_id)
        if isinstance(found, Later):
            await self._writer.wait_for_room(machine, found.reason)
            return False
        await self._writer.refuse(machine, found.reason)
        return False

    async def _begin_start(self, machine: Machine) -> tuple[Machine, MachineSpec]:
        checked_transition(machine.state, MachineState.STARTING)
        async with self._core.database.write() as tx:
            await tx.lock(Lock.PROJECT, machine.project_id)
            project = await project_store.find_project(tx, machine.project_id)
            if project is None or await has_outlived_its_build(tx, machine):
                await machine_store.set_desired(tx, machine.id, Desired.STOPPED)
                raise _NotNeeded(machine.project_id)
            volume = await volume_of(self._core, self._sites, tx, project, machine)
            starting = replace(
                machine,
                state=MachineState.STARTING,
                run=machine.run + 1,
                volume_id=volume.id,
                region_id=project.region_id,
                placement=None,
                waits_for=None,
            )
            await self._writer.save_in(tx, starting)
            await machine_store.mark_machine_current(tx, machine.id)
        self._writer.wake_readers(machine)
        certificates = await asyncio.to_thread(self._issue, starting.server_name)
        spec = MachineSpec(
            machine_id=machine.id,
            volume_id=volume.id,
            platform=machine.platform,
            size=project.hardware.size,
            cache_policy=project.cache_policy,
            certificates=certificates,
            privileges=privileges_of(machine, self._options.privileges),
            untrusted_of=None if machine.build_id is None else machine.project_id,
        )
        return starting, spec

    def _issue(self, server_name: str) -> MachineCertificates:
        pair = self._certificates.machine(server_name)
        authority = self._certificates.machines_ca_file.read_bytes()
        return MachineCertificates(authority, pair.certificate.encode(), pair.private_key.encode())

    async def _complete_start(self, machine: Machine, spec: MachineSpec) -> None:
        began = self._core.monotonic()
        about = {"stoker.machine_id": machine.id, "stoker.project_id": machine.project_id}
        span = self._core.tracer.begin_work("machine start", about, cause=machine_cause(machine.id), headers={})
        try:
            await self._fill(machine)
            async with asyncio.timeout(self._options.start_timeout_seconds):
                async for placement in self._sites.runtime_of(machine.region_id).start(spec):
                    machine = await self._writer.save(replace(machine, placement=placement))
                await self._wait_ready(machine)
                await self._check_damage(machine)
        except NoRoomYet as none:
            span.end("there was no room for it yet", {})
            stopping = await self._writer.move(machine, MachineState.STOPPING)
            await self._stopping.finish(stopping, waits_for=str(none))
        except (RuntimeFailed, TimeoutError) as error:
            self._core.meter.machine_start_ended(self._core.monotonic() - began, is_ready=False)
            span.end("it did not start", {})
            await self._fail_start(machine, str(error) or "it was not ready in time")
        else:
            await self._become_ready(machine)
            self._core.meter.machine_start_ended(self._core.monotonic() - began, is_ready=True)
            span.end(None, {})

    async def _fill(self, machine: Machine) -> None:
        """Fill the machine's volume. It has its own deadline, since a copy can take minutes.

        Raises:
            MachineStartFailed: it was not filled in time.
        """
        seconds = self._options.fill_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                await fill_volume(self._core, self._sites, machine)
        except TimeoutError as error:
            raise MachineStartFailed(f"its volume was not filled within {seconds:g} s") from error

    async def _wait_ready(self, machine: Machine) -> None:
        if machine.placement is None:
            raise MachineStartFailed("the runtime did not say where the machine is")
        ready = asyncio.ensure_future(self._wait_until_ready(machine.placement, machine.server_name, self._credentials))
        ended = asyncio.create_task(self._sites.runtime_of(machine.region_id).wait_exit(machine.id, machine.placement))
        try:
            await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise MachineStartFailed("buildkitd ended right after its start; see the machine's log")
            await ready
        finally:
            for task in (ready, ended):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _check_damage(self, machine: Machine) -> None:
        """Where BuildKit found its cache database damaged and made a new one, prefer the last good snapshot.

        Raises:
            MachineStartFailed: there is a snapshot.
        """
        damage = (await self._sites.runtime_of(machine.region_id).why_ended(machine.id)).damage
        if damage is None or machine.volume_id is None:
            return
        snapshots = self._sites.snapshots_of(machine.region_id)
        if snapshots is not None and await snapshots.can_restore(machine.volume_id):
            raise MachineStartFailed(damage)
        note = f"volume {machine.volume_id} was damaged ({damage}), and there is no snapshot: its cache begins empty"
        _log.error("machine %s: %s", machine.id, note)
        async with self._core.database.write() as tx:
            await volume_store.note_volume_problem(tx, machine.volume_id, note)

    async def _become_ready(self, machine: Machine) -> None:
        if machine.placement is not None and machine.placement.over_policy:
            await self._housekeeping.shrink(machine)
        async with self._core.database.write() as tx:
            await tx.lock(Lock.PROJECT, machine.project_id)
            leases = await lease_store.count_live_leases(tx, machine.id)
            await machine_store.set_idle_since(tx, machine.id, None if leases else self._core.now())
            ready = replace(
                machine,
                state=checked_transition(machine.state, MachineState.READY),
                error=None,
                failures=0,
                retry_at=None,
                waits_since=None,
            )
            await self._writer.save_in(tx, ready)
            if machine.waits_since is not None:
                await unhint_builds_of_machine(tx, machine.id, NO_ROOM)
        given = machine.placement
        size = "" if given is None or given.memory_bytes is None else f", {given.memory_bytes / GIBIBYTE:.3g} GiB"
        _log.info(
            "machine %s is ready for %s of project %s with %s CPUs%s",
            machine.id,
            machine.platform,
            machine.project_id,
            "its" if given is None or given.cpus is None else given.cpus,
            size,
        )
        self._writer.wake_readers(machine)
        self._core.wakeups.wake(machine_topic(machine.id), FLEET)

    async def _fail_start(self, machine: Machine, problem: str) -> None:
        failures = machine.failures + 1
        ending = await self._sites.runtime_of(machine.region_id).why_ended(machine.id)
        if ending.out_of_memory:
            problem = f"{memory_note(machine)} before it was ready"
        _log.error("machine %s did not start (attempt %d): %s", machine.id, failures, ending.damage or problem)
        reason = None
        attempts = self._options.start_attempts + (_VOLUMES_TO_TRY if ending.damage else 0)
        if failures >= attempts:
            reason = f"the machine could not be started after {failures} attempts; the server's log says why"
        stopping = await self._writer.move(
            replace(machine, failures=failures, waits_since=None),
            MachineState.STOPPING,
            fail_builds=reason,
            error=problem,
        )
        await self._stopping.finish(stopping, damage=ending.damage)
