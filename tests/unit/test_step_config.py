"""What a step may be configured with, field by field: all else is refused, with a message that says what to do."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from stoker.runtimes.process.engine.step_config.decision import MOST_OPEN_FILES, allowed_config
from stoker.runtimes.process.engine.step_config.destinations import MountedFiles, is_below, is_plain, resolved
from stoker.runtimes.process.engine.step_config.json_text import read_json, write_json
from stoker.runtimes.process.engine.step_config.refusal import Refused
from stoker.runtimes.process.engine.step_config.rules import StepRules

VOLUME = "/data/volumes/volume"
BUNDLE = f"{VOLUME}/runc-overlayfs/executor/step1"
CAPABILITIES = ["CAP_CHOWN", "CAP_KILL", "CAP_SYS_CHROOT"]
HELD = ["nosuid", "noexec", "nodev"]
LIMITS = {"NOFILE": 20_000, "CORE": 2**64 - 1, "RTPRIO": 0, "NICE": 0, "MEMLOCK": 8_388_608}
IOCTL: dict[str, Any] = {"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": 1, "op": "x"}]}

# As BuildKit 0.34 writes it, with fewer system calls and no environment.
CONFIG: dict[str, Any] = {
    "ociVersion": "1.3.0",
    "process": {
        "user": {"uid": 0, "gid": 0, "additionalGids": [0]},
        "args": ["/bin/sh", "-c", 'echo "\u00e4\U0001f600"'],
        "env": ["PATH=/bin", 'A={"cgroupsPath":"/"}'],
        "cwd": "/",
        "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
    },
    "root": {"path": f"{BUNDLE}/rootfs"},
    "hostname": "buildkitsandbox",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": HELD},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*HELD, "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", *HELD]},
        {"destination": "/c", "type": "bind", "source": f"{VOLUME}/snapshots/8/fs", "options": ["rw", "rbind"]},
        {
            "destination": "/o",
            "type": "overlay",
            "source": "overlay",
            "options": ["index=off", f"lowerdir={VOLUME}/snapshots/1/fs:{VOLUME}/snapshots/2/fs"],
        },
        {"destination": "/dev/otel-grpc.sock", "type": "bind", "source": "/view/otel.sock", "options": ["ro", "rbind"]},
    ],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}], "memory": {"limit": 1}, "cpu": {"shares": 2}},
        "cgroupsPath": "/stoker/s/m/buildkit/step1",
        "namespaces": [
            *({"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")),
            {"type": "network", "path": f"{VOLUME}/net/cni/one"},
        ],
        "seccomp": {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 1,
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                {"names": ["accept", "ioctl", "write"], "action": "SCMP_ACT_ALLOW"},
                {"names": ["ioctl"], "action": "SCMP_ACT_ALLOW"},
                {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            ],
        },
        "maskedPaths": [
            "/proc/acpi",
            "/proc/kcore",
            "/proc/keys",
            "/proc/sched_debug",
            "/proc/scsi",
            "/proc/timer_list",
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
}
INSECURE: dict[str, Any] = {
    "process.capabilities.ambient": ["CAP_SYS_ADMIN"],
    "process.capabilities.inheritable": ["CAP_SYS_ADMIN"],
    "process.capabilities.bounding": ["CAP_SYS_ADMIN"],
    "mounts.2.options": [*HELD, "rw"],
    "mounts.3.options": ["rw", *HELD],
    "linux.maskedPaths": [],
    "linux.readonlyPaths": [],
    "linux.seccomp": None,
    "linux.devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}],
    "linux.resources.devices": [{"allow": True, "type": kind, "access": "rwm"} for kind in ("c", "b")],
}


def rules(**fields: Any) -> StepRules:
    usual: dict[str, Any] = {
        "cgroup": "/stoker/s/m/buildkit",
        "networks": f"{VOLUME}/net",
        "sources": [VOLUME, "/data/machines/m/tmp"],
        "tracing_socket": "/view/otel.sock",
        "insecure": False,
        "host_network": False,
        "seccomp": True,
        "ioctls": [IOCTL],
        "score": 500,
    }
    return StepRules(**{**usual, **fields})


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    for where, value in changes.items():
        *folders, name = where.split(".")
        inside: Any = config
        for folder in folders:
            inside = inside[int(folder)] if isinstance(inside, list) else inside[folder]
        if name == "+":
            inside.append(value)
        else:
            inside[int(name) if isinstance(inside, list) else name] = value
    return config


def no_links(_path: str) -> str:
    raise FileNotFoundError


def decide(config: object, links: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    def readlink(path: str) -> str:
        try:
            return (links or {})[path]
        except KeyError:
            raise FileNotFoundError from None

    files = MountedFiles(f"{BUNDLE}/rootfs", readlink)
    return allowed_config(config, "step1", BUNDLE, rules(**fields), files, LIMITS)


def test_what_buildkit_writes_is_allowed_and_narrowed() -> None:
    decided = decide(CONFIG)

    narrowed = changed({"process.oomScoreAdj": 500})
    narrowed["linux"]["seccomp"]["syscalls"] = [
        IOCTL,
        {"names": ["accept", "write"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
    ]
    assert decided == narrowed
    assert json.loads(write_json(decided)) == narrowed


@pytest.mark.parametrize(
    "group",
    [
        "/stoker/s/m/engine/buildkit/step1",
        "/stoker/s/m/buildkit/step2",
        "/stoker/s/m/buildkit/../buildkit/step1",
        "/stoker/s/m/buildkit/x.slice:step1",
        "/stoker/s/m/buildkit/step1/",
        "/stoker/s/other/buildkit/step1",
        "stoker/s/m/buildkit/step1",
        "",
        None,
    ],
)
def test_the_whole_cgroup_is_compared(group: str | None) -> None:
    with pytest.raises(Refused, match="may not choose its cgroup; leave cgroup-parent out"):
        decide(changed({"linux.cgroupsPath": group}), insecure=True)


REFUSED: dict[str, Any] = {
    "hooks": {},
    "annotations": {"run.oci.handler": "krun"},
    "domainname": "x",
    "root.path": "/",
    "root.extra": 1,
    "process.oomScoreAdj": -1000,
    "process.apparmorProfile": "unconfined",
    "process.selinuxLabel": "x",
    "process.scheduler": {"policy": "SCHED_FIFO"},
    "process.ioPriority": {"class": "IOPRIO_CLASS_RT"},
    "process.user.umask": 0,
    "process.capabilities.ambient": [],
    "process.capabilities.inheritable": [],
    "process.capabilities.effective": ["CAP_SYS_ADMIN"],
    "process.rlimits": [{"type": "RLIMIT_RTPRIO", "hard": 99, "soft": 99}],
    "linux.sysctl": {"kernel.core_pattern": "x"},
    "linux.devices": [],
    "linux.rootfsPropagation": "shared",
    "linux.mountLabel": "x",
    "linux.uidMappings": [],
    "linux.gidMappings": [],
    "linux.intelRdt": {},
    "linux.personality": {},
    "linux.timeOffsets": {},
    "linux.netDevices": {},
    "linux.resources.devices": [{"allow": True, "access": "rwm"}],
    "linux.resources.unified": {"memory.max": "max"},
    "linux.resources.pids": {"limit": -1},
    "linux.resources.blockIO": {},
    "linux.resources.memory": {"disableOOMKiller": True},
    "linux.resources.memory.limit": "max",
    "linux.resources.cpu": {"realtimeRuntime": 1},
    "linux.namespaces": [],
    "linux.namespaces.0": {"type": "user"},
    "linux.namespaces.1": {"type": "ipc", "path": "/proc/1/ns/ipc"},
    "linux.namespaces.2": {"type": "pid"},
    "linux.namespaces.5.path": "/proc/1/ns/net",
    "linux.seccomp": None,
    "linux.seccomp.defaultAction": "SCMP_ACT_ALLOW",
    "linux.seccomp.listenerPath": "/x",
    "linux.seccomp.flags": [],
    "linux.maskedPaths": ["/proc/acpi"],
    "linux.readonlyPaths": None,
    "mounts": None,
    "mounts.0": {"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]},
    "mounts.0.destination": "/elsewhere",
    "mounts.1.options": ["nosuid", "dev"],
    "mounts.2.options": [*HELD, "rw"],
    "mounts.3.options": ["rw", *HELD],
    "mounts.4.source": "/etc",
    "mounts.4.source ": f"{VOLUME}/../../../etc",
    "mounts.4.options": ["rbind", "rshared"],
    "mounts.4.options ": ["rbind", "idmap"],
    "mounts.4.type": "sysfs",
    "mounts.4.uidMappings": [],
    "mounts.5.options": [f"lowerdir={VOLUME}/1:/etc"],
    "mounts.6.source": "/run/docker.sock",
    "mounts.+": {"destination": "/", "type": "tmpfs", "source": "tmpfs", "options": []},
}


@pytest.mark.parametrize("where", REFUSED)
def test_what_is_not_on_the_list_is_refused_and_says_what_to_do(where: str) -> None:
    with pytest.raises(Refused, match=r"^.{10,200}; (leave|build|lower|mount|make)[^\n]+$"):
        decide(changed({where.strip(): REFUSED[where]}))


@pytest.mark.parametrize("where", INSECURE)
def test_insecure_steps_get_what_buildkit_gives_them_where_the_project_may(where: str) -> None:
    one = changed({where: INSECURE[where]})
    with pytest.raises(Refused):
        decide(one)
    assert decide(one, insecure=True)["process"]["oomScoreAdj"] == 500


def test_an_insecure_step_is_allowed_as_a_whole_and_only_in_its_own_place() -> None:
    whole = changed(INSECURE)
    assert decide(whole, insecure=True) == changed({**INSECURE, "process.oomScoreAdj": 500})
    for where, value in {"linux.devices.0.path": "/etc/x", "hooks": {}, "linux.sysctl": {}}.items():
        with pytest.raises(Refused):
            decide(changed({**INSECURE, where: value}), insecure=True)


def test_a_step_is_on_the_hosts_network_only_where_it_may_be() -> None:
    on_host = changed({"linux.namespaces": CONFIG["linux"]["namespaces"][:-1]})
    with pytest.raises(Refused, match=r"privilege network\.host"):
        decide(on_host)
    decide(on_host, host_network=True)
    decide(changed({"linux.namespaces.5": {"type": "network"}}))
    decide(changed({"linux.namespaces.5.path": f"{VOLUME}/net/proxy/one-exec"}))


@pytest.mark.parametrize(
    ("kind", "soft", "hard", "allowed"),
    [
        ("NOFILE", 1, 2, True),
        ("NOFILE", MOST_OPEN_FILES, MOST_OPEN_FILES, True),
        ("NOFILE", 1, MOST_OPEN_FILES + 1, False),
        ("NOFILE", MOST_OPEN_FILES + 1, 1, False),
        ("CORE", 0, 2**64 - 1, True),
        ("MEMLOCK", 8_388_608, 8_388_608, True),
        ("MEMLOCK", 1, 8_388_609, False),
        ("RTPRIO", 0, 0, True),
        ("RTPRIO", 0, 1, False),
        ("NICE", 1, 0, False),
        ("LOCKS", 0, 0, False),
        ("", 0, 0, False),
    ],
)
def test_limits_may_be_lowered_and_not_raised(kind: str, soft: int, hard: int, allowed: bool) -> None:
    config = changed({"process.rlimits": [{"type": f"RLIMIT_{kind}", "hard": hard, "soft": soft}]})
    if allowed:
        decide(config)
    else:
        with pytest.raises(Refused, match="leave it out"):
            decide(config)


LINKS = {
    f"{BUNDLE}/rootfs/link": "/dev",
    f"{BUNDLE}/rootfs/a/up": "../../../proc/x/..",
    f"{BUNDLE}/rootfs/loop": "loop",
    f"{BUNDLE}/rootfs/away": "/c/in",
    f"{VOLUME}/snapshots/8/fs/in": "/sys",
    f"{VOLUME}/snapshots/2/fs/low": "../dev/pts",
}


@pytest.mark.parametrize(
    ("destination", "place"),
    [
        ("/dev/null", "/dev/null"),
        ("dev", "/dev"),
        ("/./x/..//proc//self", "/proc/self"),
        ("/../../sys", "/sys"),
        ("/link", "/dev"),
        ("/link/null", "/dev/null"),
        ("/a/up", "/proc"),
        ("/away/firmware", "/sys/firmware"),
        ("/c/in", "/sys"),
        ("/o/low", "/dev/pts"),
        ("", "/"),
    ],
)
def test_a_mount_is_refused_by_where_it_leads_to(destination: str, place: str) -> None:
    mount = {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=1"]}
    with pytest.raises(Refused, match=f"may not mount at {place}[,;]"):
        decide(changed({"mounts.+": mount}), LINKS)


def test_other_mounts_are_allowed() -> None:
    for destination in ("/device", "/c/other", "/o/x/y", "/links", "/link/../x", "/processes", "/dev/shm"):  # noqa: S108
        mount = {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=1"]}
        decide(changed({"mounts.+": mount}), LINKS)


def test_links_that_never_end_are_refused() -> None:
    mount = {"destination": "/loop", "type": "tmpfs", "source": "tmpfs", "options": []}
    with pytest.raises(Refused, match="never end"):
        decide(changed({"mounts.+": mount}), LINKS)


def test_an_image_whose_dev_is_a_link_is_refused() -> None:
    with pytest.raises(Refused, match="/dev is a symbolic link to /c"):
        decide(CONFIG, {f"{BUNDLE}/rootfs/dev": "/c"})


def test_what_is_mounted_covers_what_was_there() -> None:
    links = {f"{BUNDLE}/rootfs/c/in": "/dev"}
    mount = {"destination": "/c/in", "type": "tmpfs", "source": "tmpfs", "options": []}
    decide(changed({"mounts.+": mount}), links)


def test_paths() -> None:
    assert resolved("/a/../b/./c", lambda _path: None) == "/b/c"
    assert is_below("/dev", "/dev")
    assert is_below("/anything", "/")
    assert not is_below("/device", "/dev")
    assert [is_plain(path) for path in ("/a/b", "a", "/a/../b", "/a//b", "/a/.", "/")] == [True, *[False] * 5]


def test_json_is_read_as_the_standard_library_does() -> None:
    text = json.dumps(CONFIG)
    assert read_json(text + "\n") == CONFIG
    assert json.loads(write_json(read_json(text))) == CONFIG


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a":1,"a":2}', "[NaN]", "{} {}", "[" * 100_000, '{"a":1}x', "'a'", '"\n"'],
)
def test_json_that_can_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="build with stoker's own BuildKit"):
        read_json(text)


@pytest.mark.parametrize("config", [None, [], "x", {}, {"linux": []}, changed({"process": None, "root": 1})])
def test_what_is_no_configuration_is_refused(config: object) -> None:
    with pytest.raises(Refused):
        decide(config)
