"""`stoker.runtimes.contract.Runtime` on this host."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from stoker.domain.host import Verdict
from stoker.domain.machines import Placement
from stoker.runtimes.contract import Ending, Observed, Owned
from stoker.runtimes.errors import HostUnfit, MachineStartFailed, MachineStopFailed, RuntimeFailed, VolumeFailed
from stoker.runtimes.process.config import UserNamespaces, checked_name, is_name
from stoker.runtimes.process.engine import logs
from stoker.runtimes.process.engine.damage import damage_in
from stoker.runtimes.process.engine.emulation import ensure_emulation, platforms
from stoker.runtimes.process.engine.engine_files import MachineFolder
from stoker.runtimes.process.engine.starts import MachineStarts, remembered_process
from stoker.runtimes.process.host.cgroups import Cgroups
from stoker.runtimes.process.host.memory import wait_kill
from stoker.runtimes.process.host.user_namespaces import user_namespaces
from stoker.runtimes.process.network.machine_networks import MachineNetworks
from stoker.runtimes.process.network.step_networks import unisolated_for
from stoker.runtimes.process.volumes.trees import destroy
from stoker.runtimes.process.volumes.volume_store import VolumeStore
from stoker.runtimes.processes import ProcessName, ended, is_running, opened, started_ticks
from stoker.runtimes.programs import find_program

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Callable

    from stoker.runtimes.contract import MachineSpec
    from stoker.runtimes.process.config import ProcessRuntimeConfig

_log = logging.getLogger(__name__)
_UNISOLATED = (
    "UNSAFE: RUN steps are on this host's own network and reach whatever it reaches, itself and its loopback addresses "
    "included; build nothing here that you don't trust"
)

P = ParamSpec("P")
T = TypeVar("T")


class ProcessRuntime:
    """Runs machines as processes of this host."""

    def __init__(self, config: ProcessRuntimeConfig, store: VolumeStore) -> None:
        self._config = config
        self._machines = config.data / "machines"
        self._kept_logs = config.data / "logs" / "machines"
        self._store = store
        self._cgroups = Cgroups(config.server_id)
        self._isolated = not config.allow_unisolated or unisolated_for() is None
        self._networks = MachineNetworks(config, self._machines, self._cgroups)
        networks = self._networks if self._isolated else None
        self._starts = MachineStarts(config, self._machines, self._store, self._cgroups, networks)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._is_released = False

    async def prepare_host(self) -> tuple[str, ...]:
        """Make what all machines of this server share. A later call repairs it.

        Returns:
            What this host lacks and machines can do without: a line each, for the operator.

        Raises:
            HostUnfit: this host can't run machines safely; the text says what is missing.
        """
        return await asyncio.to_thread(self._prepare_host)

    async def release_host(self) -> None:
        """Kill this server's machines at once and remove everything of it but volumes and kept logs.

        Raises:
            MachineStopFailed: something is left; call again.
        """
        await asyncio.to_thread(self._release_host)

    async def tend_volumes(self) -> None:
        """Free disk space when it is short, and repair a volume store that became read-only. Call it at intervals."""
        await asyncio.to_thread(self._tend_volumes)

    async def trim_logs(self) -> None:
        """Cut running machines' logs to their bound."""
        await asyncio.to_thread(self._trim_logs)

    @property
    def in_user_namespaces(self) -> bool:
        """Whether machines run in user namespaces of their own; known when the host has been prepared."""
        return self._starts.in_user_namespaces

    async def start(self, spec: MachineSpec) -> AsyncIterator[Placement]:
        """Start a machine: see `Runtime.start`. Yields once, when its process is there."""
        yield await self._alone(spec.machine_id, self._launch, spec)

    async def stop(self, machine_id: str, grace_seconds: float) -> bool:
        """Stop a machine: see `Runtime.stop`."""
        outer = await self._alone(machine_id, self._ask_to_end, machine_id) if grace_seconds > 0 else None
        ended_by_itself = False
        if outer is not None:
            with suppress(TimeoutError), opened(outer, lambda pid: self._cgroups.holds(machine_id, pid)) as descriptor:
                if descriptor is not None:
                    await asyncio.wait_for(ended(descriptor), grace_seconds)
                    ended_by_itself = True
        await self._alone(machine_id, self._remove, machine_id)
        return ended_by_itself

    async def observe(self, machine_id: str, placement: Placement | None) -> Observed:
        """Look at the machine's outer process: see `Runtime.observe`."""
        try:
            name = await asyncio.to_thread(self._process, machine_id, placement)
            return Observed.ABSENT if name is None or not is_running(name) else Observed.RUNNING
        except OSError:
            return Observed.UNKNOWN

    async def wait_exit(self, machine_id: str, placement: Placement) -> None:
        """Wait for the end of the machine's outer process: see `Runtime.wait_exit`."""
        name = await asyncio.to_thread(self._process, machine_id, placement)
        if name is not None:
            with opened(name.pid, lambda _: is_running(name)) as descriptor:
                if descriptor is not None:
                    await ended(descriptor)
        self._reap(machine_id)

    async def why_ended(self, machine_id: str) -> Ending:
        """Read it from the machine's log: see `Runtime.why_ended`."""
        return await asyncio.to_thread(self._why_ended, machine_id)

    async def wait_step_killed(self, machine_id: str) -> None:
        """Wait for the kernel's notice: see `Runtime.wait_step_killed`."""
        found = self._cgroups.memory_group(checked_name(machine_id))
        if found is not None:
            with suppress(OSError):
                await wait_kill(found[0], unified=found[1])
                return
        await asyncio.Event().wait()

    async def list_owned(self) -> Owned:
        """All that has this server's id on it: see `Runtime.list_owned`."""
        return await asyncio.to_thread(self._list_owned)

    async def _alone(self, machine_id: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work on a machine in a thread, never two at once for the same machine.

        A caller that is canceled leaves its thread running; the next one waits for it here.
        """
        lock = self._locks.setdefault(checked_name(machine_id), threading.Lock())

        def locked() -> T:
            with lock:
                return work(*args, **kwargs)

        return await asyncio.to_thread(locked)

    def _prepare_host(self) -> tuple[str, ...]:
        find_program("runc", "crun", package="runc")
        find_program("unshare", package="util-linux")
        self._cgroups.prepare()
        self._is_released = False
        warnings = self._networks.prepare() if self._isolated else (_UNISOLATED,)
        warnings += self._prepare_user_namespaces()
        ensure_emulation()
        return (*warnings, *self._store.prepare())

    def _prepare_user_namespaces(self) -> tuple[str, ...]:
        wanted = self._config.user_namespaces
        self._starts.in_user_namespaces = False
        if wanted is UserNamespaces.OFF or (wanted is UserNamespaces.AUTO and not self._isolated):
            return ()
        self._config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = user_namespaces(self._config.data, self._config.first_id)
        can = self._isolated and found.verdict is Verdict.GOOD
        if wanted is UserNamespaces.REQUIRE and not can:
            why = f"{found.found}; {found.advice}" if self._isolated else "steps have no networks of their own"
            raise HostUnfit(f"user_namespaces is require, and machines can't have any here: {why}")
        self._starts.in_user_namespaces = can
        return () if can else (f"machines have no user namespaces of their own: {found.found}; {found.advice}",)

    def _launch(self, spec: MachineSpec) -> Placement:
        if self._is_released:
            raise MachineStartFailed(f"machine {spec.machine_id} can't start: the server is ending")
        if self._cgroups.processes(spec.machine_id):
            raise MachineStartFailed(f"machine {spec.machine_id} still has processes; stop it first")
        if spec.platform not in platforms():
            raise MachineStartFailed(f"{spec.platform} can't be emulated here; install qemu-user-static")
        try:
            if not self._isolated:
                _log.warning("machine %s: %s", spec.machine_id, _UNISOLATED)
            placement, process = self._starts.start(spec)
        except (RuntimeFailed, OSError) as error:
            raise MachineStartFailed(f"machine {spec.machine_id} did not start: {error}") from error
        self._children[spec.machine_id] = process
        return placement

    def _ask_to_end(self, machine_id: str) -> int | None:
        outer = self._cgroups.outer_process(machine_id)
        return outer if outer is not None and self._cgroups.ask_to_end(machine_id) else None

    def _why_ended(self, machine_id: str) -> Ending:
        log = MachineFolder(self._machines / checked_name(machine_id)).log
        return Ending(
            damage=damage_in(logs.tail(log, self._config.kept_log_bytes)),
            out_of_memory=self._cgroups.engine_ran_out_of_memory(machine_id),
        )

    def _remove(self, machine_id: str) -> None:
        self._cgroups.kill(machine_id)
        self._reap(machine_id)
        folder = MachineFolder(self._machines / machine_id)
        with suppress(OSError):  # a full disk must not keep a machine from being stopped
            logs.keep(folder.log, self._kept_logs, self._config.kept_log_bytes, self._config.kept_logs)
        try:
            is_deleted = self._networks.disconnect(machine_id, with_rules=self._isolated)
            removals = (("its bridge", is_deleted), ("cgroups with processes", self._cgroups.remove(machine_id)))
            left = [what for what, is_removed in removals if not is_removed]
        except RuntimeFailed as error:
            raise MachineStopFailed(f"machine {machine_id}: {error}") from error
        # The folder last: while there is one, the machine is listed as owned.
        if not left and not destroy(folder.path):
            left.append(f"files in {folder.path}")
        if left:
            raise MachineStopFailed(f"of machine {machine_id} are left: {' and '.join(left)}")

    def _release_host(self) -> None:
        self._is_released = True
        failures: list[str] = []
        with ExitStack() as stack:
            # A machine that is being started holds its lock; with all of them, what is there now is all there will be.
            for lock in list(self._locks.values()):
                stack.enter_context(lock)
            machines = self._list_machines()
            for machine_id in machines:
                self._cgroups.kill(machine_id)
            for machine_id in machines:
                try:
                    self._remove(machine_id)
                except MachineStopFailed as error:
                    failures.append(str(error))
        if failures:
            raise MachineStopFailed("; ".join(failures))
        try:
            if self._isolated:
                self._networks.release()
        except RuntimeFailed as error:
            raise MachineStopFailed(str(error)) from error
        self._cgroups.release()
        self._store.release()
        with suppress(OSError):
            self._machines.rmdir()

    def _list_owned(self) -> Owned:
        machines = self._list_machines()
        try:
            return Owned(machines, self._store.volumes().ids())
        except OSError:
            _log.exception("the volume store can't be read")
            return Owned(machines, None)

    def _list_machines(self) -> frozenset[str]:
        # Without a look at volumes, which may be on a file system that can't be read any more.
        folders = self._machines.iterdir() if self._machines.is_dir() else ()
        machines = {folder.name for folder in folders if is_name(folder.name)}
        return frozenset(machines) | self._cgroups.machines() | self._networks.machines()

    def _tend_volumes(self) -> None:
        try:
            self._store.tend(in_use=bool(self._list_machines()))
        except OSError as error:
            raise VolumeFailed(f"the volume store: {error}") from error

    def _process(self, machine_id: str, placement: Placement | None) -> ProcessName | None:
        self._reap(machine_id)
        if placement is not None and (named := remembered_process(placement)) is not None:
            return named
        pid = self._cgroups.outer_process(checked_name(machine_id))
        started = None if pid is None else started_ticks(pid)
        return None if pid is None or started is None else ProcessName(pid, started)

    def _reap(self, machine_id: str) -> None:
        child = self._children.get(machine_id)
        if child is not None and child.poll() is not None:
            self._children.pop(machine_id, None)

    def _trim_logs(self) -> None:
        for machine_id in self._list_machines():
            logs.trim(MachineFolder(self._machines / machine_id).log, self._config.log_bytes)
