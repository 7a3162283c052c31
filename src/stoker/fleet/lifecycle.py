"""What is done to one machine: start it, take it up again, stop it, clean up after a crash.

Each step is stored under the controller's claim before the next begins, so that another controller can go on from
wherever this one died.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.buildkit.control import ControlCredentials, wait_until_ready
from stoker.domain.hardware import GIBIBYTE
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
from stoker.domain.privileges import privileges_of
from stoker.fleet.ephemeral_volumes import fill_volume, has_outlived_its_build, volume_of
from stoker.runtimes.contract import MachineCertificates, MachineSpec, Observed, StepKills
from stoker.runtimes.errors import MachineStartFailed, NoRoomYet, RegionNotConfigured, RuntimeFailed
from stoker.runtimes.site import Later, Never, Room
from stoker.runtimes.volumes import Snapshots
from stoker.services.build_completion import (
    explain_failures_of_machine,
    fail_builds_of_machine,
    hint_builds_of_machine,
    unhint_builds_of_machine,
    wake_ended,
)
from stoker.services.tracing import machine_cause
from stoker.services.wakeups import FLEET, VOLUMES, machine_topic, machines_topic
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import projects as project_store
from stoker.store import volumes as volume_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stoker.domain.machines import Placement
    from stoker.fleet.cache_inspection import CacheInspection
    from stoker.fleet.housekeeping import Housekeeping
    from stoker.pki.certificates import Certificates
    from stoker.runtimes.contract import Runtime
    from stoker.runtimes.sites import Sites
    from stoker.services.core import Core
    from stoker.settings.fleet import FleetSettings

# What a damaged volume may be replaced by, in turn: its last good snapshot, an empty one.
_VOLUMES_TO_TRY = 2

_log = logging.getLogger(__name__)


_NO_ROOM = "the build waited for room for its machine"
_MEMORY_ADVICE = "give the project larger hardware, or let it run less at once"


class ProjectGone(Exception):
    """The machine's project was deleted, or the only build that it is for has ended: it needs no start."""


class MachineLifecycle:
    """Carries out actions for machines that the controller has claimed with ``claim``."""

    def __init__(
        self,
        core: Core,
        sites: Sites,
        certificates: Certificates,
        credentials: ControlCredentials,
        housekeeping: Housekeeping,
        cache_inspection: CacheInspection,
        options: FleetSettings,
        claim: str,
        wait_until_ready: Callable[[Placement, str, ControlCredentials], Awaitable[None]] = wait_until_ready,
    ) -> None:
        self._core = core
        self._sites = sites
        self._certificates = certificates
        self._credentials = credentials
        self._housekeeping = housekeeping
        self._cache_inspection = cache_inspection
        self._options = options
        self._claim = claim
        self._wait_until_ready = wait_until_ready

    async def carry_out(self, machine: Machine, action: Action) -> None:
        """Do the next thing for a claimed machine."""
        match action:
            case Action.START:
                await self._start(machine)
            case Action.FINISH_START:
                await self._finish_start(machine)
            case Action.STOP:
                await self._stop(machine)
            case Action.FINISH_STOP:
                await self._finish_stop(machine)

    async def clean_up_after_exit(self, machine: Machine) -> None:
        """A machine that should run doesn't any more: fail its builds, remove what is left."""
        ending = await self._runtime(machine).why_ended(machine.id)
        reason = "the machine's BuildKit ended unexpectedly; build again, the cache is kept"
        if ending.out_of_memory:
            reason = f"{_memory_note(machine)}, and its BuildKit was killed; {_MEMORY_ADVICE}"
        _log.warning("machine %s ended by itself; its builds fail: %s", machine.id, reason)
        crashed = replace(machine, crashes=machine.crashes + 1)
        if crashed.keeps_crashing:
            delay = crash_delay_seconds(crashed.crashes)
            reason = f"{reason}; that was {crashed.crashes} times in a row, so it starts again in {delay:g} s"
            _log.error("machine %s of project %s: %s", machine.id, machine.project_id, reason)
        stopping = await self._move(crashed, MachineState.STOPPING, fail_builds=reason, error=reason)
        await self._finish_stop(stopping)

    async def note_killed_steps(self, machine: Machine) -> None:
        """Remember, for as long as this runs, each time that a step of a machine is killed because memory ran out."""
        runtime = self._runtime(machine)
        if not isinstance(runtime, StepKills):
            return
        while True:
            await runtime.wait_step_killed(machine.id)
            hint = f"{_memory_note(machine)}, and something in a step was killed; {_MEMORY_ADVICE}"
            _log.warning("machine %s: %s", machine.id, hint)
            async with self._core.database.write() as tx:
                await hint_builds_of_machine(tx, machine.id, hint)

    async def wait_for_room(self, machine: Machine, reason: str, *, retry: bool = True) -> None:
        """Let a stopped machine wait, and its builds know why. No failure is counted.

        Args:
            machine: the machine.
            reason: why there is no room for it.
            retry: try it again after a pause; otherwise it waits behind another machine.
        """
        now = self._core.now()
        retry_at = now + timedelta(seconds=self._options.room_seconds) if retry else None
        waiting = replace(machine, waits_for=reason, waits_since=machine.waits_since or now, retry_at=retry_at)
        async with self._core.database.write() as tx:
            await machine_store.save_claimed(tx, waiting, self._claim, now)
            await hint_builds_of_machine(tx, machine.id, f"{_NO_ROOM}: {reason}")
        if machine.waits_for != reason:
            _log.info("machine %s of project %s waits for room: %s", machine.id, machine.project_id, reason)
        self._wake_readers(machine)

    async def leave_line(self, machine: Machine) -> None:
        """A machine that waits for room isn't wanted any more."""
        await self._save(replace(machine, waits_for=None, waits_since=None, retry_at=None))

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
            await self.wait_for_room(machine, found.reason)
            return False
        _log.error("machine %s can't be started: %s", machine.id, found.reason)
        async with self._core.database.write() as tx:
            refused = replace(machine, error=found.reason, waits_for=None, waits_since=None)
            await machine_store.save_claimed(tx, refused, self._claim, self._core.now())
            ended = await fail_builds_of_machine(self._core, tx, machine.id, found.reason)
        wake_ended(self._core, ended)
        self._wake_readers(machine)
        return False

    async def _start(self, machine: Machine) -> None:
        if not await self._has_room(machine):
            return
        try:
            starting, spec = await self._begin_start(machine)
        except ProjectGone:
            return
        await self._complete_start(starting, spec)

    async def _complete_start(self, machine: Machine, spec: MachineSpec) -> None:
        began = self._core.monotonic()
        about = {"stoker.machine_id": machine.id, "stoker.project_id": machine.project_id}
        span = self._core.tracer.begin_work("machine start", about, cause=machine_cause(machine.id), headers={})
        try:
            await self._fill(machine)
            async with asyncio.timeout(self._options.start_timeout_seconds):
                async for placement in self._runtime(machine).start(spec):
                    machine = await self._save(replace(machine, placement=placement))
                await self._wait_ready(machine)
                await self._look_for_damage(machine)
        except NoRoomYet as none:
            span.end("there was no room for it yet", {})
            stopping = await self._move(machine, MachineState.STOPPING)
            await self._finish_stop(stopping, waits_for=str(none))
        except (RuntimeFailed, TimeoutError) as error:
            self._core.meter.machine_start_ended(self._core.monotonic() - began, is_ready=False)
            span.end("it did not start", {})
            await self._fail_start(machine, str(error) or "it was not ready in time")
        else:
            await self._become_ready(machine)
            self._core.meter.machine_start_ended(self._core.monotonic() - began, is_ready=True)
            span.end(None, {})

    async def _fill(self, machine: Machine) -> None:
        """Fill the machine's volume, which has a deadline of its own: a copy can take minutes where others take none.

        Raises:
            MachineStartFailed: it was not filled in time.
        """
        seconds = self._options.fill_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                await fill_volume(self._core, self._sites, machine)
        except TimeoutError as error:
            raise MachineStartFailed(f"its volume was not filled within {seconds:g} s") from error

    async def _look_for_damage(self, machine: Machine) -> None:
        """When BuildKit began a new cache database by itself, give it the last good snapshot instead, if there is one.

        Raises:
            MachineStartFailed: there is.
        """
        damage = (await self._runtime(machine).why_ended(machine.id)).damage
        if damage is None or machine.volume_id is None:
            return
        snapshots = self._snapshots(machine)
        if snapshots is not None and await snapshots.can_restore(machine.volume_id):
            raise MachineStartFailed(damage)
        note = (
            f"volume {machine.volume_id} was damaged ({damage}), and there is no snapshot: BuildKit begins anew in it"
        )
        _log.error("machine %s: %s", machine.id, note)
        async with self._core.database.write() as tx:
            await volume_store.note_volume_problem(tx, machine.volume_id, note)

    async def _finish_start(self, machine: Machine) -> None:
        """Go on with the start of a controller that died: wait for what runs, or clean up and start anew."""
        observed = await self._runtime(machine).observe(machine.id, machine.placement)
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
        await self._finish_stop(await self._move(machine, MachineState.STOPPING))

    async def _begin_start(self, machine: Machine) -> tuple[Machine, MachineSpec]:
        checked_transition(machine.state, MachineState.STARTING)
        async with self._core.database.write() as tx:
            project = await project_store.find_project(tx, machine.project_id)
            if project is None or await has_outlived_its_build(tx, machine):
                await machine_store.set_desired(tx, machine.id, Desired.STOPPED)
                raise ProjectGone(machine.project_id)
            volume = await volume_of(self._core, tx, project, machine)
            starting = replace(
                machine,
                state=MachineState.STARTING,
                run=machine.run + 1,
                volume_id=volume.id,
                region_id=project.region_id,
                placement=None,
                waits_for=None,
            )
            await machine_store.save_claimed(tx, starting, self._claim, self._core.now())
            await machine_store.mark_machine_current(tx, machine.id)
        self._wake_readers(machine)
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

    async def _wait_ready(self, machine: Machine) -> None:
        if machine.placement is None:
            raise MachineStartFailed("the runtime did not say where the machine is")
        ready = asyncio.ensure_future(self._wait_until_ready(machine.placement, machine.server_name, self._credentials))
        ended = asyncio.create_task(self._runtime(machine).wait_exit(machine.id, machine.placement))
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

    async def _become_ready(self, machine: Machine) -> None:
        if machine.placement is not None and machine.placement.over_policy:
            await self._housekeeping.shrink(machine)
        async with self._core.database.write() as tx:
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
            await machine_store.save_claimed(tx, ready, self._claim, self._core.now())
            if machine.waits_since is not None:
                await unhint_builds_of_machine(tx, machine.id, _NO_ROOM)
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
        self._wake_readers(machine)
        self._core.wakeups.wake(machine_topic(machine.id), FLEET)

    async def _fail_start(self, machine: Machine, problem: str) -> None:
        failures = machine.failures + 1
        ending = await self._runtime(machine).why_ended(machine.id)
        if ending.out_of_memory:
            problem = f"{_memory_note(machine)} before it was ready"
        _log.error("machine %s did not start (attempt %d): %s", machine.id, failures, ending.damage or problem)
        reason = None
        attempts = self._options.start_attempts + (_VOLUMES_TO_TRY if ending.damage else 0)
        if failures >= attempts:
            reason = f"the machine could not be started after {failures} attempts; the server's log says why"
        stopping = await self._move(
            replace(machine, failures=failures, waits_since=None),
            MachineState.STOPPING,
            fail_builds=reason,
            error=problem,
        )
        await self._finish_stop(stopping, damage=ending.damage)

    async def _stop(self, machine: Machine) -> None:
        """Stop an idle machine, unless a build has taken it in the meantime."""
        async with self._core.database.write() as tx:
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
            await machine_store.save_claimed(tx, stopping, self._claim, self._core.now())
        self._wake_readers(machine)
        # With its state of before: it still runs.
        if machine.build_id is None:
            await self._cache_inspection.store_contents(current)
        await self._finish_stop(stopping, orderly=True)

    async def _finish_stop(
        self, machine: Machine, *, orderly: bool = False, damage: str | None = None, waits_for: str | None = None
    ) -> None:
        """Stop a machine that is STOPPING.

        Args:
            machine: the machine.
            orderly: it was ready until now, so what it leaves behind is worth keeping.
            damage: what it said of its volume, which made it end.
            waits_for: why there was no room for it.
        """
        keeps_volume = machine.build_id is None and not machine.volume_given_up
        try:
            grace = 0 if machine.build_id is not None else self._options.stop_grace_seconds
            whole = await self._runtime(machine).stop(machine.id, grace)
            if damage is not None and machine.volume_id is not None:
                machine = replace(machine, error=await self._restore_volume(machine, machine.volume_id, damage))
        except RuntimeFailed as error:
            delay = retry_delay_seconds(machine.failures + 1)
            _log.exception("machine %s could not be stopped; trying again in %g s", machine.id, delay)
            retry_at = self._core.now() + timedelta(seconds=delay)
            await self._save(replace(machine, failures=machine.failures + 1, retry_at=retry_at, error=str(error)))
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
            await self.wait_for_room(stopped, waits_for)
        else:
            async with self._core.database.write() as tx:
                await machine_store.save_claimed(tx, stopped, self._claim, self._core.now())
                await machine_store.retry_waiting_machines(tx, machine.region_id)
            self._wake_readers(machine)
            _log.info("machine %s is stopped", machine.id)
        self._core.wakeups.wake(machine_topic(machine.id), FLEET, VOLUMES)

    async def _save_volume(self, machine: Machine, volume_id: str) -> None:
        snapshots = self._snapshots(machine)
        try:
            if snapshots is not None:
                await snapshots.save(volume_id)
        except RuntimeFailed:
            _log.exception("volume %s could not be saved; the snapshot before stays, if there is one", volume_id)

    async def _restore_volume(self, machine: Machine, volume_id: str, damage: str) -> str:
        """Replace a damaged volume; what is to be remembered of it."""
        snapshots = self._snapshots(machine)
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

    async def _move(
        self, machine: Machine, state: MachineState, *, fail_builds: str | None = None, error: str | None = None
    ) -> Machine:
        moved = replace(machine, state=checked_transition(machine.state, state), error=error or machine.error)
        ended: list[str] = []
        async with self._core.database.write() as tx:
            await machine_store.save_claimed(tx, moved, self._claim, self._core.now())
            if fail_builds is not None:
                # Before others fail of it, whose error is the explanation.
                ended = await explain_failures_of_machine(self._core, tx, machine, fail_builds)
                ended += await fail_builds_of_machine(self._core, tx, machine.id, fail_builds)
        wake_ended(self._core, ended)
        self._wake_readers(machine)
        return moved

    async def _save(self, machine: Machine) -> Machine:
        async with self._core.database.write() as tx:
            await machine_store.save_claimed(tx, machine, self._claim, self._core.now())
        self._wake_readers(machine)
        return machine

    def _runtime(self, machine: Machine) -> Runtime:
        return self._sites.runtime_of(machine.region_id)

    def _snapshots(self, machine: Machine) -> Snapshots | None:
        site = self._sites.find(machine.region_id)
        return site.volumes if site is not None and isinstance(site.volumes, Snapshots) else None

    def _wake_readers(self, machine: Machine) -> None:
        self._core.wakeups.wake(machines_topic(machine.organization_id))


def _memory_note(machine: Machine) -> str:
    memory = None if machine.placement is None else machine.placement.memory_bytes
    limit = "" if memory is None else f" (limit {memory / GIBIBYTE:.3g} GiB)"
    return f"the machine ran out of memory{limit}"
