"""Checks what machines need of this host. Each check tries the thing itself, where that leaves nothing behind."""

from __future__ import annotations

import os
import platform
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.domain.hardware import GIBIBYTE
from stoker.domain.host import Finding, Verdict
from stoker.runtimes.errors import HostUnfit, RuntimeFailed
from stoker.runtimes.folders import nearest_folder
from stoker.runtimes.process.config import FIRST_ID
from stoker.runtimes.process.engine.emulation import can_be_emulated, emulated_platforms, native_platform
from stoker.runtimes.process.host.cgroups import ROOT, Cgroups
from stoker.runtimes.process.host.limits import CONTROLLERS, host_size
from stoker.runtimes.process.host.user_namespaces import user_namespaces
from stoker.runtimes.process.network.resolvers import host_resolvers
from stoker.runtimes.process.network.step_networks import (
    RUN_AS_ROOT,
    effective_capabilities,
    forwarding,
    ipv6,
    step_networks,
)
from stoker.runtimes.programs import find_program, run

if TYPE_CHECKING:
    from collections.abc import Callable

# Bits of /proc/PID/status, CapEff (linux/capability.h).
_CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_ADMIN": 21,
    "CAP_MKNOD": 27,
}
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")


def check_host(folder: Path) -> tuple[Finding, ...]:
    """Check everything. Takes a fraction of a second, and changes nothing on the host.

    Args:
        folder: where the server's data is or is to be; machines' files are tried out there.
    """
    checks: tuple[Callable[[], Finding], ...] = (
        _kernel,
        _privileges,
        _namespaces,
        partial(_user_namespaces, folder),
        _cgroups,
        _seccomp,
        step_networks,
        forwarding,
        ipv6,
        _name_servers,
        partial(_overlays, folder),
        partial(_volumes, folder),
        _emulation,
        _size,
    )
    return tuple(check() for check in checks)


def _kernel() -> Finding:
    found = f"Linux {platform.release()} on {platform.machine()}"
    try:
        native_platform()
    except HostUnfit as error:
        return Finding("kernel", Verdict.MISSING, found, str(error))
    return Finding("kernel", Verdict.GOOD, found)


def _privileges() -> Finding:
    held = effective_capabilities(Path("/proc/self/status").read_text())
    lacking = [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]
    if os.geteuid() != 0 or lacking:
        found = f"lacks {', '.join(lacking)}" if lacking else "not root"
        return Finding("privileges", Verdict.MISSING, found, RUN_AS_ROOT)
    return Finding("privileges", Verdict.GOOD, "root")


def _namespaces() -> Finding:
    lacking = [name for name in _NAMESPACES if not Path("/proc/self/ns", name).exists()]
    if lacking:
        return Finding("namespaces", Verdict.MISSING, f"none of {', '.join(lacking)}", "use a kernel that has them")
    programs = ("unshare", "nsenter")
    try:
        for program in programs:
            find_program(program, package="util-linux")
    except HostUnfit as error:
        return Finding("namespaces", Verdict.MISSING, f"{', '.join(_NAMESPACES)}", str(error))
    return Finding("namespaces", Verdict.GOOD, ", ".join(_NAMESPACES))


def _user_namespaces(folder: Path) -> Finding:
    return user_namespaces(nearest_folder(folder), FIRST_ID)


def _cgroups() -> Finding:
    subject = "cgroups"
    cgroups = Cgroups("trial")
    mounts = cgroups.mounts()
    if not mounts:
        return Finding(subject, Verdict.MISSING, f"none mounted under {ROOT}", "mount cgroup v2 there")
    unwritable = [str(mount) for mount in mounts if not os.access(mount, os.W_OK)]
    if unwritable:
        return Finding(subject, Verdict.MISSING, f"{unwritable[0]} can't be written", RUN_AS_ROOT)
    version = "version 2" if cgroups.is_unified() else "version 1"
    lacking = sorted(cgroups.lacking())
    if lacking:
        advice = "machines get no such limits; enable the controllers in the kernel, or delegate them to this place"
        return Finding(subject, Verdict.WEAKER, f"{version}, without {', '.join(lacking)}", advice)
    return Finding(subject, Verdict.GOOD, f"{version}, with {', '.join(CONTROLLERS)}")


def _seccomp() -> Finding:
    if Path("/proc/sys/kernel/seccomp/actions_avail").exists():
        return Finding("seccomp", Verdict.GOOD, "filters of system calls")
    return Finding("seccomp", Verdict.UNSAFE, "none", "use a kernel with CONFIG_SECCOMP_FILTER")


def _name_servers() -> Finding:
    found = host_resolvers()
    if found:
        return Finding("name servers", Verdict.GOOD, ", ".join(str(address) for address in found))
    advice = "steps ask public ones; name one that isn't this host itself in /etc/resolv.conf"
    return Finding("name servers", Verdict.WEAKER, "none that steps can reach", advice)


def _overlays(folder: Path) -> Finding:
    subject = "overlayfs"
    try:
        unshare = find_program("unshare", package="util-linux")
        with tempfile.TemporaryDirectory(dir=nearest_folder(folder), prefix="stoker-trial-") as name:
            for part in ("lower", "upper", "scratch", "merged"):
                Path(name, part).mkdir()
            options = f"lowerdir={name}/lower,upperdir={name}/upper,workdir={name}/scratch"
            command = [unshare, "--mount", "mount", "-t", "overlay", "overlay", "-o", options, f"{name}/merged"]
            done = run(command)
    except (RuntimeFailed, OSError) as error:
        return Finding(subject, Verdict.WEAKER, "can't be tried", str(error))
    if done.returncode == 0:
        return Finding(subject, Verdict.GOOD, f"on {nearest_folder(folder)}")
    advice = "every step copies all files before it; put the data folder on ext4, xfs or btrfs"
    return Finding(subject, Verdict.WEAKER, f"not on {nearest_folder(folder)}", advice)


def _volumes(folder: Path) -> Finding:
    subject, lost = "btrfs", "caches are directories then, with no hard cap and no snapshots"
    if not _has_file_system("btrfs"):
        return Finding(subject, Verdict.WEAKER, "not in this kernel", f"load the module btrfs; {lost}")
    try:
        for program in ("btrfs", "mkfs.btrfs"):
            find_program(program, package="btrfs-progs")
    except HostUnfit as error:
        return Finding(subject, Verdict.WEAKER, "in this kernel", f"{error}; {lost}")
    if not Path("/dev/loop-control").exists():
        return Finding(subject, Verdict.WEAKER, "no loop devices", f"load the module loop, or give /dev/loop*; {lost}")
    return Finding(subject, Verdict.GOOD, f"images can be mounted at {nearest_folder(folder)}")


def _has_file_system(name: str) -> bool:
    known = [line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()]
    if name in known:
        return True
    try:
        return run([find_program("modprobe", package="kmod"), "--dry-run", "--quiet", name]).returncode == 0
    except RuntimeFailed:
        return False


def _emulation() -> Finding:
    subject = "other platforms"
    emulated = emulated_platforms()
    if emulated:
        return Finding(subject, Verdict.GOOD, f"{', '.join(sorted(emulated))}, emulated")
    if can_be_emulated():
        return Finding(subject, Verdict.GOOD, f"{', '.join(sorted(can_be_emulated()))}, once a server has run here")
    advice = "builds for other platforms are refused; install qemu-user-static, in a kernel with binfmt_misc"
    return Finding(subject, Verdict.WEAKER, "none", advice)


def _size() -> Finding:
    size = host_size()
    found = f"at most {size.cpus} CPUs and {size.memory_bytes / GIBIBYTE:.3g} GiB for a machine"
    return Finding("size", Verdict.GOOD, found)
