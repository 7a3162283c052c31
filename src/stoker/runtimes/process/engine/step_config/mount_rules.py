"""Which mounts a step may have.

At /dev, /proc and /sys, and below, only those that BuildKit makes by itself (its executor/oci/spec.go and containerd's
pkg/oci/spec.go), and a larger /dev/shm. What a build mounts there could show up where the container runtime hides or
makes things (CVE-2025-31133).
"""

from __future__ import annotations

from stoker.runtimes.process.engine.step_config.destinations import is_below, is_plain, resolved
from stoker.runtimes.process.engine.step_config.refusal import Refused, entries, table, text, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stoker.runtimes.process.engine.step_config.destinations import MountedFiles
    from stoker.runtimes.process.engine.step_config.rules import StepRules

_KERNELS = ("/dev", "/proc", "/sys")
_FIELDS = ("destination", "type", "source", "options")
_HELD = ("nosuid", "noexec", "nodev")
_PSEUDO_TERMINALS = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
_OWN = {
    "/proc": ("proc", "proc", _HELD),
    "/dev": ("tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    "/dev/pts": ("devpts", "devpts", _PSEUDO_TERMINALS),
    "/dev/shm": ("tmpfs", "shm", (*_HELD, "mode=1777", "size=65536k")),  # noqa: S108
    "/dev/mqueue": ("mqueue", "mqueue", _HELD),
    "/sys": ("sysfs", "sysfs", (*_HELD, "ro")),
    "/sys/fs/cgroup": ("cgroup", "cgroup", (*_HELD, "ro")),
}
_SHARED_MEMORY = "/dev/shm"  # noqa: S108
_TRACING_SOCKET = "/dev/otel-grpc.sock"
_WRITABLE_WHEN_INSECURE = ("/sys", "/sys/fs/cgroup")

# What a bind mount in a user namespace has to keep of what is mounted there (BuildKit's util/rootless/mountopts).
_KEPT = ("nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime")
_WORDS = (*_HELD, *_KEPT, "bind", "rbind", "ro", "rw")
_VALUES = {
    "bind": (),
    "overlay": (
        "lowerdir",
        "upperdir",
        "workdir",
        "index",
        "userxattr",
        "redirect_dir",
        "metacopy",
        "xino",
        "volatile",
    ),
    "tmpfs": ("size", "mode", "uid", "gid", "nr_inodes"),
}


def check_mounts(value: object, rules: StepRules, files: MountedFiles) -> None:
    """Pass when a step may have the mounts.

    Raises:
        Refused: it may not.
    """
    missing = set(_KERNELS)
    for mount in entries(value, "mounts"):
        fields = table(mount, "mounts", _FIELDS)
        destination = text(fields.get("destination"), "mounts.destination")
        kind = text(fields.get("type"), "mounts.type")
        source = text(fields.get("source"), "mounts.source")
        options = texts(fields.get("options"), "mounts.options")
        place = resolved(destination, files.link_at)
        if _is_own(destination, kind, source, options, rules):
            if place != destination:
                raise Refused(f"{destination} is a symbolic link to {place} in this step's image; make it a folder")
            missing.discard(destination)
            files.mount(place, [])
            continue
        if place == "/" or any(is_below(place, folder) for folder in _KERNELS):
            leading = "" if place == destination else f", which {destination!r} leads to"
            raise Refused(f"a step may not mount at {place}{leading}; mount outside of /dev, /proc and /sys")
        files.mount(place, _layers(destination, kind, source, options, rules))
    if missing:
        raise Refused(f"a step may not be without {min(missing)}; build with stoker's own BuildKit")


def _is_own(destination: str, kind: str, source: str, options: list[str], rules: StepRules) -> bool:
    if destination == _TRACING_SOCKET:
        return (kind, source, sorted(set(options) - set(_KEPT))) == (
            "bind",
            rules.tracing_socket,
            ["rbind", "ro"],
        )
    if destination == _SHARED_MEMORY and (kind, source) == ("tmpfs", "tmpfs"):
        return all(option in _HELD or option.partition("=")[0] in ("size", "mode") for option in options)
    if destination not in _OWN:
        return False
    own_kind, own_source, own_options = _OWN[destination]
    if rules.insecure and destination in _WRITABLE_WHEN_INSECURE:
        options = ["ro" if option == "rw" else option for option in options]
    return (kind, source, sorted(options)) == (own_kind, own_source, sorted(own_options))


def _layers(destination: str, kind: str, source: str, options: list[str], rules: StepRules) -> list[str]:
    """The folders that are mounted, the upper ones first, when they and the options are what BuildKit takes."""
    if kind not in _VALUES:
        raise Refused(f"a step may not mount {kind or 'nothing'} at {destination!r}; leave the mount out")
    layers = [source] if kind == "bind" else []
    for option in options:
        name, _, value = option.partition("=")
        if option not in _WORDS and name not in _VALUES[kind]:
            raise Refused(f"a step may not mount at {destination!r} with {option[:40]!r}; leave the mount out")
        if name in ("lowerdir", "upperdir"):
            below = value.split(":")
            layers = layers + below if name == "lowerdir" else below + layers
    for layer in layers:
        if not is_plain(layer) or not any(is_below(layer, folder) for folder in rules.sources):
            raise Refused(f"a step may not mount {layer!r}, which isn't its machine's; leave the mount out")
    return layers
