"""Whether a step may run as it is configured (OCI runtime-spec, config.md, config-linux.md), and how it then runs."""

from __future__ import annotations

from stoker.runtimes.process.engine.step_config.destinations import is_below, is_plain
from stoker.runtimes.process.engine.step_config.mount_rules import check_mounts
from stoker.runtimes.process.engine.step_config.refusal import Refused, entries, number, table, text, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.runtimes.process.engine.step_config.destinations import MountedFiles
    from stoker.runtimes.process.engine.step_config.rules import StepRules

MOST_OPEN_FILES = 1_048_576
"""What a build may raise the limit of open files to where the machine itself has less."""

# Of containerd, Docker and runc too.
_CAPABILITIES = frozenset(
    (
        "CAP_AUDIT_WRITE",
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_MKNOD",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_RAW",
        "CAP_SETFCAP",
        "CAP_SETGID",
        "CAP_SETPCAP",
        "CAP_SETUID",
        "CAP_SYS_CHROOT",
    )
)
# The least; BuildKit hides more where the kernel has more.
_MASKED = ("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list")
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_CONFIGURATION = ("ociVersion", "process", "root", "hostname", "mounts", "linux")
_PROCESS = ("terminal", "user", "args", "env", "cwd", "capabilities", "rlimits", "noNewPrivileges")
_USER = ("uid", "gid", "additionalGids")
_SETS = ("bounding", "effective", "permitted")
_SETS_WHEN_INSECURE = (*_SETS, "inheritable", "ambient")
_LINUX = ("resources", "cgroupsPath", "namespaces", "seccomp", "maskedPaths", "readonlyPaths")
_SECCOMP = ("defaultAction", "defaultErrnoRet", "architectures", "syscalls")
_OWN_NAMESPACES = ("ipc", "mount", "pid", "uts")
_NO_DEVICES: list[object] = [{"allow": False, "access": "rwm"}]
_ALL_DEVICES: list[object] = [{"allow": True, "type": kind, "access": "rwm"} for kind in ("c", "b")]


def allowed_config(
    config: object,
    step_id: str,
    bundle: str,
    rules: StepRules,
    files: MountedFiles,
    hard_limits: Mapping[str, int],
) -> dict[str, object]:
    """The configuration that the step runs with.

    Args:
        config: BuildKit's.
        step_id: BuildKit's name of the step.
        bundle: the step's folder, which ``config`` comes from.
        rules: what steps of this machine may have.
        files: the step's files before anything is mounted into them.
        hard_limits: those of the machine itself, by their names in `setrlimit(2)` without the prefix.

    Raises:
        Refused: the step may not run.
    """
    top = table(config, "config", _CONFIGURATION)
    linux = table(top.get("linux"), "linux", (*_LINUX, "devices") if rules.insecure else _LINUX)
    if linux.get("cgroupsPath") != f"{rules.cgroup}/{step_id}":
        raise Refused("a step may not choose its cgroup; leave cgroup-parent out")
    root = table(top.get("root"), "root", ("path", "readonly"))
    if root.get("path") != f"{bundle}/rootfs":
        raise Refused("a step may not choose its root; build with stoker's own BuildKit")
    text(top.get("hostname", ""), "hostname")
    process = table(top.get("process"), "process", _PROCESS)
    table(process.get("user"), "process.user", _USER)
    _check_capabilities(process.get("capabilities"), rules)
    _check_limits(process.get("rlimits"), hard_limits)
    _check_resources(linux.get("resources"), rules)
    _check_namespaces(linux.get("namespaces"), rules)
    _check_devices(linux.get("devices"))
    if not rules.insecure:
        for field, paths in (("maskedPaths", _MASKED), ("readonlyPaths", _READ_ONLY)):
            lacking = set(paths) - set(texts(linux.get(field), f"linux.{field}"))
            if lacking:
                raise Refused(f"a step may not have {min(lacking)} uncovered; {_ask('security.insecure')}")
    check_mounts(top.get("mounts"), rules, files)
    seccomp = _narrowed_seccomp(linux.get("seccomp"), rules)
    return {
        **top,
        # The score is for the step alone: the container runtime is worth as much as buildkitd.
        "process": {**process, "oomScoreAdj": rules.score},
        "linux": {**linux, **({} if seccomp is None else {"seccomp": seccomp})},
    }


def _ask(entitlement: str) -> str:
    return f"leave it out, or ask the operator for the privilege {entitlement}"


def _check_capabilities(value: object, rules: StepRules) -> None:
    for name, found in table(value, "process.capabilities", _SETS_WHEN_INSECURE if rules.insecure else _SETS).items():
        surplus = set(texts(found, f"process.capabilities.{name}")) - _CAPABILITIES
        if surplus and not rules.insecure:
            raise Refused(f"a step may not have {min(surplus)}; {_ask('security.insecure')}")


def _check_limits(value: object, hard_limits: Mapping[str, int]) -> None:
    """Limits may be lowered. Raised could mean real-time priority, which no CPU limit of cgroups binds."""
    for limit in entries(value, "process.rlimits"):
        fields = table(limit, "process.rlimits", ("type", "hard", "soft"))
        name = text(fields.get("type"), "process.rlimits.type").removeprefix("RLIMIT_")
        highest = hard_limits.get(name)
        shown = f"the ulimit {name.lower()[:20]!r}"
        if highest is None:
            raise Refused(f"a step may not set {shown}; leave it out")
        if name == "NOFILE":
            highest = max(highest, MOST_OPEN_FILES)
        if max(number(fields.get(part), f"process.rlimits.{part}") for part in ("hard", "soft")) > highest:
            raise Refused(f"a step may not raise {shown} above {highest}; lower it, or leave it out")


def _check_resources(value: object, rules: StepRules) -> None:
    resources = table(value, "linux.resources", ("devices", "memory", "cpu"))
    devices = entries(resources.get("devices"), "linux.resources.devices")
    if devices != _NO_DEVICES and not (rules.insecure and devices == _ALL_DEVICES):
        raise Refused(f"a step may not use devices of the host; {_ask('security.insecure')}")
    # Both are within the machine's own limits, whatever they are.
    memory = table(resources.get("memory", {}), "linux.resources.memory", ("limit", "swap"))
    cpu = table(resources.get("cpu", {}), "linux.resources.cpu", ("shares", "quota", "period", "cpus", "mems"))
    for field, part in (*memory.items(), *cpu.items()):
        (text if field in ("cpus", "mems") else number)(part, f"linux.resources.{field}")


def _check_namespaces(value: object, rules: StepRules) -> None:
    found: dict[str, object] = {}
    for namespace in entries(value, "linux.namespaces"):
        fields = table(namespace, "linux.namespaces", ("type", "path"))
        kind = text(fields.get("type"), "linux.namespaces.type")
        if kind in found or kind not in (*_OWN_NAMESPACES, "network", "cgroup"):
            raise Refused(f"a step may not choose its {kind[:20]!r} namespace; build with stoker's own BuildKit")
        found[kind] = fields.get("path")
    network = found.pop("network", None) if "network" in found else rules
    lacking = set(_OWN_NAMESPACES) - set(found)
    if lacking or any(path is not None for path in found.values()):
        raise Refused("a step may not share namespaces of the host; build with stoker's own BuildKit")
    if network is rules and not rules.host_network:
        raise Refused(f"a step may not be on the host's network; {_ask('network.host')}")
    if isinstance(network, str) and not (is_plain(network) and is_below(network, rules.networks)):
        raise Refused("a step may not choose its network; build with stoker's own BuildKit")


def _check_devices(value: object) -> None:
    """Nodes that an insecure step finds in its /dev."""
    for device in entries(value, "linux.devices"):
        fields = table(device, "linux.devices", ("path", "type", "major", "minor"))
        path = text(fields.get("path"), "linux.devices.path")
        if not is_plain(path) or not path.startswith("/dev/"):
            raise Refused(f"a step may not have a device at {path[:40]!r}; build with stoker's own BuildKit")


def _narrowed_seccomp(value: object, rules: StepRules) -> dict[str, object] | None:
    """The profile without btrfs's own ioctls: subvolumes that a step makes would count towards no volume's cap."""
    if value is None:
        if rules.seccomp and not rules.insecure:
            raise Refused(f"a step may not be without a filter of system calls; {_ask('security.insecure')}")
        return None
    profile = table(value, "linux.seccomp", _SECCOMP)
    if profile.get("defaultAction") != "SCMP_ACT_ERRNO":
        raise Refused("a step may not call what its filter doesn't name; build with stoker's own BuildKit")
    calls: list[object] = list(rules.ioctls)
    for entry in entries(profile.get("syscalls"), "linux.seccomp.syscalls"):
        fields = table(entry, "linux.seccomp.syscalls", ("names", "action", "errnoRet", "args"))
        names = [name for name in texts(fields.get("names"), "linux.seccomp.syscalls.names") if name != "ioctl"]
        if names:
            calls.append({**fields, "names": names})
    return {**profile, "syscalls": calls}
