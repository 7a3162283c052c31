"""What a machine may use of this host, and the cgroup files that say so."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from stoker.domain.hardware import MachineSize

_PERIOD_MICROSECONDS = 100_000
_LARGEST_RESERVE = 1024**3
_RESERVED_PART = 10
# Of a container that we run in; the root group of a host has no such files, or a number beyond any memory.
_OWN_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

CONTROLLERS = ("cpu", "memory", "pids")


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a machine with all its steps; no CPU bound where it may use all that there are."""

    cpus: int | None
    memory_bytes: int
    processes: int


def host_size() -> MachineSize:
    """The largest machine that this host has room for: all its CPUs, and its memory less a tenth or 1 GiB."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in _OWN_LIMITS:
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        memory = min(memory, int(text)) if text.isdigit() else memory
    return MachineSize(len(os.sched_getaffinity(0)), memory - min(memory // _RESERVED_PART, _LARGEST_RESERVE))


def capped(size: MachineSize, host: MachineSize) -> MachineSize:
    """As much of ``size`` as the host has."""
    return MachineSize(min(size.cpus, host.cpus), min(size.memory_bytes, host.memory_bytes))


def largest_size(max_cpus: int, max_memory_bytes: int) -> MachineSize:
    """The largest machine that may be here: as large as the host has room for, or as is given; 0 is no bound."""
    host = host_size()
    return capped(MachineSize(max_cpus or host.cpus, max_memory_bytes or host.memory_bytes), host)


def limits_of(size: MachineSize, host: MachineSize, processes: int) -> Limits:
    """The limits of a machine of that size."""
    return Limits(size.cpus if size.cpus < host.cpus else None, size.memory_bytes, processes)


def limit_files(limits: Limits, controllers: frozenset[str], *, unified: bool) -> list[tuple[str, str]]:
    """Names and contents of a group's files, in the order in which they have to be written.

    Of cgroup v2 (kernel's cgroup-v2.rst) when ``unified``, otherwise of v1 (cgroup-v1/memory.rst, scheduler/
    sched-bwc.rst, cgroup-v1/pids.rst). A machine gets no swap: it would only be slow there.
    """
    quota = None if limits.cpus is None else limits.cpus * _PERIOD_MICROSECONDS
    files: list[tuple[str, str]] = []
    if "cpu" in controllers and quota is not None:
        files += (
            [("cpu.max", f"{quota} {_PERIOD_MICROSECONDS}")]
            if unified
            else [("cpu.cfs_period_us", str(_PERIOD_MICROSECONDS)), ("cpu.cfs_quota_us", str(quota))]
        )
    if "memory" in controllers:
        files += (
            [("memory.max", str(limits.memory_bytes)), ("memory.swap.max", "0")]
            if unified
            # The second is memory and swap together, and can't be less than the first.
            else [(f"memory.{kind}", str(limits.memory_bytes)) for kind in ("limit_in_bytes", "memsw.limit_in_bytes")]
        )
    if "pids" in controllers:
        files.append(("pids.max", str(limits.processes)))
    return files
