"""A machine's place in every cgroup hierarchy: ``stoker/<server id>/<machine id>``.

buildkitd is in the leaf ``engine``, because in cgroup v2 a group whose children have controllers may not hold
processes itself ("no internal processes", kernel's cgroup-v2.rst). Steps are beside it, where runc puts them.
Handles v2, v1 and both together (hybrid).
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.runtimes.errors import HostUnfit
from stoker.runtimes.process.config import is_name
from stoker.runtimes.process.host.limits import CONTROLLERS, limit_files
from stoker.runtimes.process.host.memory import kills_in
from stoker.runtimes.processes import catches, namespace_pids, opened, send, wait_ended

if TYPE_CHECKING:
    from collections.abc import Generator

    from stoker.runtimes.process.host.limits import Limits

ROOT = Path("/sys/fs/cgroup")
_PARENT = "stoker"
_ENGINE = "engine"
STEPS_GROUP = "buildkit"
"""Where buildkitd puts the groups of steps, within the machine's."""
_OWNED_FILES = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks")
ENGINE_DEPTH = 4
"""How far below the root an engine's group is."""
_CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")
_KILL_ROUNDS = 50
_KILL_ROUND_SECONDS = 0.2
_REMOVE_ROUNDS = 100
_REMOVE_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted cgroup file system."""

    mount: Path
    unified: bool
    controllers: frozenset[str]


def find_hierarchies(mountinfo: str, root: Path = ROOT) -> tuple[Hierarchy, ...]:
    """The hierarchies in a mount table (proc(5), /proc/PID/mountinfo) that can be reached under ``root``."""
    found: dict[Path, Hierarchy] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split()
        mount = Path(fields[4])
        if kind not in {"cgroup", "cgroup2"} or not mount.is_relative_to(root) or not _is_visible(mount, fields[2]):
            continue
        unified = kind == "cgroup2"
        controllers = frozenset[str]() if unified else frozenset(options.split(",")) - {"rw", "ro"}
        found[mount] = Hierarchy(mount, unified, controllers)
    return tuple(found.values())


def _is_visible(mount: Path, device: str) -> bool:
    """Whether the mount isn't hidden by a later one."""
    try:
        number = mount.stat().st_dev
    except OSError:
        return False
    return device == f"{os.major(number)}:{os.minor(number)}"


class Cgroups:
    """The cgroups of one server's machines."""

    def __init__(self, server_id: str) -> None:
        self._server = Path(_PARENT, server_id)
        self._hierarchies: tuple[Hierarchy, ...] = ()

    def prepare(self) -> None:
        """Make the server's groups in every hierarchy.

        Raises:
            HostUnfit: there are none, or they can't be written.
        """
        if not self._all():
            raise HostUnfit(f"no cgroup file system is mounted under {ROOT}; machines can't be contained without")
        for hierarchy in self._all():
            try:
                _delegate(hierarchy, hierarchy.mount)
                self._make(hierarchy, Path(_PARENT))
                self._make(hierarchy, self._server)
            except OSError as error:
                raise HostUnfit(
                    f"can't make cgroups under {hierarchy.mount} ({error.strerror}); "
                    f"run as root, and where {ROOT} is writable"
                ) from error

    def mounts(self) -> tuple[Path, ...]:
        """Where this host's hierarchies are."""
        return tuple(hierarchy.mount for hierarchy in self._all())

    def is_unified(self) -> bool:
        """Whether cgroup v2 is all that there is."""
        return all(hierarchy.unified for hierarchy in self._all())

    def path(self, machine_id: str) -> str:
        """The machine's group, as runtimes of containers name it: from the root of every hierarchy."""
        return f"/{self._server / machine_id}"

    def lacking(self) -> frozenset[str]:
        """The controllers that limits need and this host lacks."""
        return frozenset(CONTROLLERS).difference(*(self._controllers(hierarchy) for hierarchy in self._all()))

    def create(self, machine_id: str, limits: Limits) -> list[Path]:
        """Make a machine's groups, and return the files that a process writes itself into to be in them.

        Raises:
            OSError: a limit could not be set.
        """
        files: list[Path] = []
        for hierarchy in self._all():
            self._make(hierarchy, self._server / machine_id)
            group = hierarchy.mount / self._server / machine_id
            for name, value in limit_files(limits, self._controllers(hierarchy), unified=hierarchy.unified):
                # Kernels without accounting of swap have no file for it.
                if (group / name).exists():
                    (group / name).write_text(value)
            engine = hierarchy.mount / self._server / machine_id / _ENGINE
            engine.mkdir(exist_ok=True)
            _inherit_cpuset(hierarchy, engine)
            files.append(engine / "cgroup.procs")
        return files

    def hand_over(self, machine_id: str, owner: int) -> None:
        """Let a machine in a user namespace make groups for its steps, within its limits (cgroup-v2.rst, Delegation).

        Args:
            machine_id: the machine.
            owner: its root's id on the host.

        Raises:
            OSError: it could not be done.
        """
        for hierarchy in self._all():
            machine = hierarchy.mount / self._server / machine_id
            steps = machine / STEPS_GROUP
            steps.mkdir(exist_ok=True)
            _inherit_cpuset(hierarchy, steps)
            # Who moves a process in v2 needs the right to do so at what both groups have in common.
            common = [machine / "cgroup.procs"] if hierarchy.unified else []
            for path in (steps, *(steps / name for name in _OWNED_FILES), *common):
                if path.exists():
                    os.chown(path, owner, owner)

    def engine_group(self, machine_id: str) -> str | None:
        """The engine's v2 group as nft names it, from `ROOT`; None when it isn't there.

        It is by that group that the kernel tells the engine's sockets, even where v1 has all the controllers.
        """
        for hierarchy in self._all():
            group = hierarchy.mount / self._server / machine_id / _ENGINE
            if hierarchy.unified and group.is_dir():
                return str(group.relative_to(ROOT))
        return None

    @contextmanager
    def trial(self) -> Generator[tuple[Path, str] | None]:
        """A group as deep as an engine's, and its name for nft, for as long as it is used; None without v2.

        Raises:
            OSError: it could not be made.
        """
        name = f"trial-{os.getpid()}"
        for hierarchy in self._all():
            if hierarchy.unified:
                group = hierarchy.mount / self._server / name / _ENGINE
                try:
                    group.mkdir(parents=True)
                    yield group / "cgroup.procs", str(group.relative_to(ROOT))
                finally:
                    _remove(hierarchy.mount / self._server / name)
                    self.release()
                return
        yield None

    def memory_group(self, machine_id: str) -> tuple[Path, bool] | None:
        """The machine's group that has the memory controller, and whether it is of v2; None where there is none."""
        for hierarchy in self._all():
            if "memory" in self._controllers(hierarchy):
                return hierarchy.mount / self._server / machine_id, hierarchy.unified
        return None

    def engine_ran_out_of_memory(self, machine_id: str) -> bool:
        """Whether the kernel killed buildkitd itself, or the processes around it, because memory ran out."""
        found = self.memory_group(machine_id)
        return found is not None and kills_in(found[0] / _ENGINE, unified=found[1]) > 0

    def machines(self) -> frozenset[str]:
        """Ids of the machines that have a group."""
        folders = [folder for hierarchy in self._all() for folder in _children(hierarchy.mount / self._server)]
        return frozenset(folder.name for folder in folders if is_name(folder.name))

    def processes(self, machine_id: str) -> frozenset[int]:
        """Ids of all processes of a machine: engine and steps."""
        return frozenset(
            pid
            for hierarchy in self._all()
            for group in _tree(hierarchy.mount / self._server / machine_id)
            for pid in _pids(group)
        )

    def holds(self, machine_id: str, pid: int) -> bool:
        """Whether the process is the machine's."""
        try:
            lines = Path("/proc", str(pid), "cgroup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return False
        # The line's path is cut off at the namespace's root or goes on above it, so only its end is ours to know.
        inside = f"/{self._server / machine_id}/"
        return any(inside in f"{line.split(':', 2)[2]}/" for line in lines)

    def outer_process(self, machine_id: str) -> int | None:
        """The process that holds the machine's pid namespace from outside."""
        return next((pid for pid in self._engine(machine_id) if len(namespace_pids(pid)) == 1), None)

    def ask_to_end(self, machine_id: str) -> bool:
        """Ask the machine to end by itself. Returns False when no process of it is there to be asked."""
        for pid in self._engine(machine_id):
            inside = namespace_pids(pid)
            # The first process of a pid namespace gets no signal that it doesn't catch (pid_namespaces(7)).
            if len(inside) == 2 and inside[1] == 1 and catches(pid, signal.SIGTERM):
                with opened(pid, lambda pid: self.holds(machine_id, pid)) as descriptor:
                    if descriptor is not None:
                        send(descriptor, signal.SIGTERM)
                        return True
        return False

    def kill(self, machine_id: str) -> None:
        """Kill everything in the machine's groups and wait for its end, a few seconds at most."""
        for _ in range(_KILL_ROUNDS):
            pids = self.processes(machine_id)
            if not pids:
                return
            self._kill_once(machine_id, pids)

    def remove(self, machine_id: str) -> bool:
        """Remove the machine's groups, which must be empty. False when something keeps one of them."""
        left = [hierarchy for hierarchy in self._all() if not _remove(hierarchy.mount / self._server / machine_id)]
        return not left

    def release(self) -> None:
        """Remove the server's groups, and the one above when no other server has groups in it."""
        for hierarchy in self._all():
            for group in (self._server, Path(_PARENT)):
                with suppress(OSError):
                    (hierarchy.mount / group).rmdir()

    def _all(self) -> tuple[Hierarchy, ...]:
        if not self._hierarchies:
            self._hierarchies = find_hierarchies(Path("/proc/self/mountinfo").read_text())
        return self._hierarchies

    def _controllers(self, hierarchy: Hierarchy) -> frozenset[str]:
        if not hierarchy.unified:
            return hierarchy.controllers
        try:
            return frozenset((hierarchy.mount / self._server / "cgroup.subtree_control").read_text().split())
        except OSError:
            return frozenset()

    def _engine(self, machine_id: str) -> frozenset[int]:
        return frozenset(
            pid for hierarchy in self._all() for pid in _pids(hierarchy.mount / self._server / machine_id / _ENGINE)
        )

    def _make(self, hierarchy: Hierarchy, group: Path) -> None:
        folder = hierarchy.mount / group
        folder.mkdir(exist_ok=True)
        _inherit_cpuset(hierarchy, folder)
        _delegate(hierarchy, folder)

    def _kill_once(self, machine_id: str, pids: frozenset[int]) -> None:
        groups = [(hierarchy, hierarchy.mount / self._server / machine_id) for hierarchy in self._all()]
        freezers = [group / "freezer.state" for hierarchy, group in groups if "freezer" in hierarchy.controllers]
        with ExitStack() as stack:
            descriptors = [
                stack.enter_context(opened(pid, lambda pid: self.holds(machine_id, pid))) for pid in sorted(pids)
            ]
            ours = [descriptor for descriptor in descriptors if descriptor is not None]
            for hierarchy, group in groups:
                if hierarchy.unified:
                    _write(group / "cgroup.kill", "1")
            # A frozen process can't fork, so none escapes between the look and the kill.
            for freezer in freezers:
                _write(freezer, "FROZEN")
            for descriptor in ours:
                send(descriptor, signal.SIGKILL)
            for freezer in freezers:
                _write(freezer, "THAWED")
            wait_ended(ours, _KILL_ROUND_SECONDS)


def _children(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir()]
    except OSError:
        return []


def _tree(group: Path) -> list[Path]:
    """The group and all below it, children after their parents."""
    found = [group]
    for current in found:
        found.extend(_children(current))
    return found


def _pids(group: Path) -> list[int]:
    try:
        # 0 stands for a process of another pid namespace, which is not ours.
        return [pid for pid in map(int, (group / "cgroup.procs").read_text().split()) if pid]
    except OSError:
        return []


def _remove(group: Path) -> bool:
    for _ in range(_REMOVE_ROUNDS):
        for folder in reversed(_tree(group)):
            with suppress(OSError):
                folder.rmdir()
        if not group.exists():
            return True
        # Groups stay busy for a moment after their last process; cgroup v1 has no event for the end of it.
        time.sleep(_REMOVE_PAUSE_SECONDS)
    return False


def _delegate(hierarchy: Hierarchy, group: Path) -> None:
    """Let the children of a v2 group have all controllers that it has itself."""
    if not hierarchy.unified:
        return
    wanted = set((group / "cgroup.controllers").read_text().split())
    for controller in sorted(wanted - set((group / "cgroup.subtree_control").read_text().split())):
        # Some can't be had in some containers; what a machine needs of them is checked where limits are set.
        _write(group / "cgroup.subtree_control", f"+{controller}")


def _inherit_cpuset(hierarchy: Hierarchy, group: Path) -> None:
    """In v1 a new group has no CPUs, and no process can be put into it before it has (kernel's cpusets.rst)."""
    if "cpuset" not in hierarchy.controllers:
        return
    for name in _CPUSET_FILES:
        if not (group / name).read_text().strip():
            (group / name).write_text((group.parent / name).read_text())


def _write(file: Path, text: str) -> None:
    with suppress(OSError):
        file.write_text(text)
