"""Starts a machine. Most of the time is spent waiting for the kernel, so the parts are made in parallel.

An engine needs its certificate, its configuration and its cgroups from the beginning. It needs its network only later
(see `stoker.runtimes.process.engine.launch`).
"""

from __future__ import annotations

import socket
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from stoker.domain.machines import Isolation, Placement
from stoker.runtimes.process.config import UserNamespaces
from stoker.runtimes.process.engine.container_runtime import container_runtime_script, written_step_rules
from stoker.runtimes.process.engine.engine_files import (
    MachineFolder,
    machine_engine_config,
    make_machine_view,
)
from stoker.runtimes.process.engine.launch import HostLaunch, Launch, Surroundings
from stoker.runtimes.process.engine.user_launch import INSIDE, VOLUME_INSIDE, UserLaunch
from stoker.runtimes.process.host.cgroups import STEPS_GROUP
from stoker.runtimes.process.host.id_ranges import IdRange, IdRanges
from stoker.runtimes.process.host.limits import capped, host_size, largest_size, limits_of
from stoker.runtimes.process.host.memory import events_file
from stoker.runtimes.process.host.namespaces import IDS
from stoker.runtimes.process.host.privileges import written_privileges
from stoker.runtimes.process.network.bridges import Bridge
from stoker.runtimes.process.network.cni_files import network_config, write_cni_plugins
from stoker.runtimes.process.network.resolvers import resolv_conf
from stoker.runtimes.process.volumes.trees import destroy
from stoker.runtimes.process.volumes.volume_store import HOUSEKEEPING_FACTOR
from stoker.runtimes.processes import ProcessName, started_ticks

if TYPE_CHECKING:
    import subprocess
    from concurrent.futures import Executor
    from pathlib import Path

    from stoker.runtimes.contract import MachineSpec
    from stoker.runtimes.process.config import ProcessRuntimeConfig
    from stoker.runtimes.process.host.cgroups import Cgroups
    from stoker.runtimes.process.network.machine_networks import MachineNetworks
    from stoker.runtimes.process.volumes.volume_store import VolumeStore

HOST = "127.0.0.1"
_ANY = "0.0.0.0"  # noqa: S104  of the machine's own network namespace
L = TypeVar("L", bound=Launch)

# The volume, the cgroups, the processes, the bridge and the rules.
_BESIDE_A_START = 5


@dataclass(frozen=True, slots=True)
class _Seen:
    """How a machine sees what is its own.

    Attributes:
        folder: its folder.
        view: that folder once more, where BuildKit looks for its configuration.
        listen: the address that it listens on.
        volume: its volume; None where it sees that as the host does.
    """

    folder: MachineFolder
    view: Path
    listen: str
    volume: Path | None = None


class MachineStarts:
    """Starts the machines of one server.

    Attributes:
        networks: None where steps can't be given networks of their own.
        in_user_namespaces: whether machines get user namespaces of their own, which need such networks.
    """

    def __init__(
        self,
        config: ProcessRuntimeConfig,
        machines: Path,
        store: VolumeStore,
        cgroups: Cgroups,
        networks: MachineNetworks | None,
    ) -> None:
        self._config = config
        self._machines = machines
        self._store = store
        self._cgroups = cgroups
        self.networks = networks
        self.in_user_namespaces = config.user_namespaces is UserNamespaces.REQUIRE and networks is not None
        self._ids = IdRanges(config.run_folder, IdRange(config.first_id, config.id_ranges * IDS))

    def start(self, spec: MachineSpec) -> tuple[Placement, subprocess.Popen[bytes]]:
        """Start a machine that has no processes yet. Returns its placement and its outermost process.

        Raises:
            RuntimeFailed: it could not be started.
            OSError: the same.
        """
        # Left only when what was begun in it has ended, so that a stop afterwards finds everything.
        with ThreadPoolExecutor(max_workers=_BESIDE_A_START) as beside:
            return self._start(spec, beside)

    def _start(self, spec: MachineSpec, beside: Executor) -> tuple[Placement, subprocess.Popen[bytes]]:
        machine_id = spec.machine_id
        folder = MachineFolder(self._machines / machine_id)
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        host = host_size()
        size = capped(spec.size, largest_size(self._config.max_cpus, self._config.max_memory_bytes))
        grouped = beside.submit(self._cgroups.create, machine_id, limits_of(size, host, self._config.max_processes))
        entered = Future[int]() if self.in_user_namespaces else None
        launching = beside.submit(self._launch, machine_id, folder, grouped, entered)
        try:
            chosen = Future[Bridge]()
            connection = (
                None
                if self.networks is None
                else beside.submit(self.networks.connect, spec, chosen, grouped, beside, entered)
            )
            keep_bytes = spec.cache_policy.keep_bytes
            volume = beside.submit(self._store.open, spec.volume_id, keep_bytes, untrusted_of=spec.untrusted_of)
            seen = self._seen(folder, in_user_namespace=entered is not None)
            self._fill(folder, seen.folder, spec)
            _write_certificates(spec, folder)
            port = _free_port()
            place = seen.volume or volume.result().path
            cgroup, isolated = self._cgroups.path(machine_id), connection is not None
            toml = machine_engine_config(
                spec,
                self._config,
                seen.folder,
                volume=place,
                min_free_bytes=HOUSEKEEPING_FACTOR * self._store.reserve(),
                port=port,
                cgroup=cgroup,
                view=seen.view,
                listen=seen.listen,
                isolated=isolated,
            )
            folder.config.write_text(toml)
            folder.step_rules.write_text(
                written_step_rules(
                    seen.folder, spec.privileges, volume=place, view=seen.view, cgroup=cgroup, isolated=isolated
                )
            )
            if connection is not None:
                folder.network.write_text(network_config(seen.folder, chosen.result()))
            launch = launching.result()
            resolvers = resolv_conf(self._config.name_servers)
            launch.begin(Surroundings(folder, seen.view, volume.result().path, resolvers))
            if connection is not None:
                connection.result()
            launch.connect()
        except BaseException:
            if launching.exception() is None:
                launching.result().abandon()
            raise
        process = launch.process
        placement = Placement(
            HOST if entered is None else str(chosen.result().engine),
            port,
            cpus=size.cpus,
            memory_bytes=size.memory_bytes,
            over_policy=volume.result().over_policy,
            isolation=_isolation(in_user_namespace=entered is not None, isolated=isolated),
            remembered=_remembering(process.pid),
        )
        return placement, process

    def _seen(self, folder: MachineFolder, *, in_user_namespace: bool) -> _Seen:
        view = make_machine_view(self._config)
        return _Seen(INSIDE, view, _ANY, VOLUME_INSIDE) if in_user_namespace else _Seen(folder, view, HOST)

    def _launch(
        self, machine_id: str, folder: MachineFolder, grouped: Future[list[Path]], entered: Future[int] | None
    ) -> Launch:
        if entered is None:
            return _moved(HostLaunch(self._config, folder, make_machine_view(self._config)), grouped)
        try:
            launch = _moved(UserLaunch(self._config, folder), grouped)
            try:
                ids = self._ids.take(folder.path)
                self._cgroups.hand_over(machine_id, ids.first)
                entered.set_result(launch.enter(ids.first))
            except BaseException:
                launch.abandon()
                raise
        except BaseException as error:
            entered.set_exception(error)
            raise
        return launch

    def _fill(self, folder: MachineFolder, seen: MachineFolder, spec: MachineSpec) -> None:
        folder.privileges.write_text(written_privileges(spec.privileges))
        for part in folder.own_folders:
            destroy(part)
            part.mkdir(mode=0o700)
        if self.networks is not None:
            write_cni_plugins(folder)
        events = self._memory_events(spec.machine_id)
        script = container_runtime_script(
            seen, self._config.container_runtime, events, in_user_namespace=self.in_user_namespaces
        )
        folder.container_runtime.write_text(script)
        folder.container_runtime.chmod(0o700)

    def _memory_events(self, machine_id: str) -> Path | None:
        found = self._cgroups.memory_group(machine_id)
        return None if found is None else found[0] / STEPS_GROUP / "$id" / events_file(unified=found[1])


def remembered_process(placement: Placement) -> ProcessName | None:
    """The outermost process that a placement names, if it names one."""
    process_id, started = placement.remembered.get("process_id"), placement.remembered.get("process_started")
    return None if process_id is None or started is None else ProcessName(int(process_id), int(started))


def _remembering(process_id: int) -> dict[str, str]:
    """What identifies a process. Process ids alone don't, because the kernel reuses them."""
    started = started_ticks(process_id)
    return {"process_id": str(process_id)} | ({} if started is None else {"process_started": str(started)})


def _write_certificates(spec: MachineSpec, folder: MachineFolder) -> None:
    folder.tls.path.mkdir(mode=0o700, exist_ok=True)
    given = spec.certificates
    for path, content in ((folder.tls.ca, given.ca), (folder.tls.certificate, given.certificate)):
        path.write_bytes(content)
    folder.tls.key.touch(mode=0o600)
    folder.tls.key.write_bytes(given.key)


def _moved(launch: L, grouped: Future[list[Path]]) -> L:
    """Put what was started into its cgroups when they are there. The kernel takes some milliseconds for it."""
    try:
        for file in grouped.result():
            file.write_text(str(launch.process.pid))
    except BaseException:
        launch.abandon()
        raise
    return launch


def _isolation(*, in_user_namespace: bool, isolated: bool) -> Isolation:
    if not isolated:
        return Isolation.HOST_NETWORK
    return Isolation.USER_NAMESPACE if in_user_namespace else Isolation.HOST_ROOT


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
