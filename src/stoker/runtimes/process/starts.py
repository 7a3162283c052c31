"""One start of a machine: much of it is waiting for the kernel, so its parts are made beside each other.

What an engine can't start without is its certificate, its configuration and its place in the cgroups; its network it
needs only later (see `stoker.runtimes.process.launch`).
"""

from __future__ import annotations

import socket
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from stoker.domain.machines import Placement
from stoker.runtimes.process.bridges import Bridge
from stoker.runtimes.process.cni_files import network_config, write_cni_plugins
from stoker.runtimes.process.container_runtime import container_runtime_script, written_step_rules
from stoker.runtimes.process.engine_files import STEPS_GROUP, MachineFolder, engine_config, make_machine_view
from stoker.runtimes.process.launch import Launch
from stoker.runtimes.process.limits import capped, host_size, limits_of
from stoker.runtimes.process.memory import events_file
from stoker.runtimes.process.privileges import written_privileges
from stoker.runtimes.process.processes import started_ticks
from stoker.runtimes.process.trees import destroy
from stoker.runtimes.process.volume_store import HOUSEKEEPING_FACTOR

if TYPE_CHECKING:
    import subprocess
    from concurrent.futures import Executor
    from pathlib import Path

    from stoker.runtimes.contract import MachineSpec
    from stoker.runtimes.process.cgroups import Cgroups
    from stoker.runtimes.process.config import ProcessRuntimeConfig
    from stoker.runtimes.process.machine_networks import MachineNetworks
    from stoker.runtimes.process.volume_store import VolumeStore

HOST = "127.0.0.1"
# The volume, the cgroups, the processes, the bridge and the rules.
_BESIDE_A_START = 5


class MachineStarts:
    """Starts the machines of one server.

    Attributes:
        networks: None where steps can't be given networks of their own.
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

    def start(self, spec: MachineSpec) -> tuple[Placement, subprocess.Popen[bytes]]:
        """Start a machine of which nothing runs; where it is, and its outermost process.

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
        size = capped(spec.size, host)
        grouped = beside.submit(self._cgroups.create, machine_id, limits_of(size, host, self._config.max_processes))
        view = make_machine_view(self._config)
        launching = beside.submit(self._launch, folder, view, grouped)
        try:
            chosen = Future[Bridge]()
            connection = (
                None if self.networks is None else beside.submit(self.networks.connect, spec, chosen, grouped, beside)
            )
            keep_bytes = spec.cache_policy.keep_bytes
            volume = beside.submit(self._store.open, spec.volume_id, keep_bytes, untrusted_of=spec.untrusted_of)
            self._fill(folder, spec)
            port = _free_port()
            place, cgroup, isolated = volume.result().path, self._cgroups.path(machine_id), connection is not None
            toml = engine_config(
                spec,
                self._config,
                folder,
                volume=place,
                min_free_bytes=HOUSEKEEPING_FACTOR * self._store.reserve(),
                port=port,
                cgroup=cgroup,
                view=view,
                isolated=isolated,
            )
            folder.config.write_text(toml)
            folder.step_rules.write_text(
                written_step_rules(folder, spec.privileges, volume=place, view=view, cgroup=cgroup, isolated=isolated)
            )
            if connection is not None:
                folder.network.write_text(network_config(folder, chosen.result()))
            launch = launching.result()
            launch.begin()
            if connection is not None:
                connection.result()
            launch.connect()
        except BaseException:
            if launching.exception() is None:
                launching.result().abandon()
            raise
        process = launch.process
        placement = Placement(
            HOST,
            port,
            process.pid,
            started_ticks(process.pid),
            cpus=size.cpus,
            memory_bytes=size.memory_bytes,
            over_policy=volume.result().over_policy,
        )
        return placement, process

    def _launch(self, folder: MachineFolder, view: Path, grouped: Future[list[Path]]) -> Launch:
        launch = Launch(self._config, folder, view)
        try:
            launch.move(grouped.result())
        except BaseException:
            launch.abandon()
            raise
        return launch

    def _fill(self, folder: MachineFolder, spec: MachineSpec) -> None:
        folder.privileges.write_text(written_privileges(spec.privileges))
        for part in folder.own_folders:
            destroy(part)
            part.mkdir(mode=0o700)
        if self.networks is not None:
            write_cni_plugins(folder)
        events = self._memory_events(spec.machine_id)
        folder.container_runtime.write_text(container_runtime_script(folder, self._config.container_runtime, events))
        folder.container_runtime.chmod(0o700)

    def _memory_events(self, machine_id: str) -> Path | None:
        found = self._cgroups.memory_group(machine_id)
        return None if found is None else found[0] / STEPS_GROUP / "$id" / events_file(unified=found[1])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
