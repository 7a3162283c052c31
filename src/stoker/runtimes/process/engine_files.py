"""The files that tell one buildkitd what to do."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w

from stoker.runtimes.process.commands import find_program

if TYPE_CHECKING:
    from stoker.runtimes.contract import MachineSpec
    from stoker.runtimes.process.config import ProcessRuntimeConfig

# Fixed in libcni, which BuildKit gives no other folder.
CNI_STATE = Path("/var/lib/cni")
# Where buildkitd puts the groups of steps, within the one that it is given.
STEPS_GROUP = "buildkit"
# Fixed in BuildKit (util/appdefaults).
_BUILDKIT_FOLDER = Path("/etc/buildkit")
_STEP_SCORE = 500
_BTRFS_TYPE = 0x94
_COPYING = (0x40049409, 0x4020940D, 0xC0189436)  # FICLONE, FICLONERANGE, FIDEDUPERANGE (linux/fs.h)

# Only `run` starts a step. Its last word is the step's id, and buildkitd deletes the group afterwards, not before.
# The group is compared whole: BuildKit passes a parent that ends with `.slice:` on as it is, with every `..` in it.
_CONTAINER_RUNTIME = """\
#!/bin/sh
run= bundle= before= id=
for word; do
    [ "$word" != run ] || run=yes
    [ "$before" != --bundle ] || bundle=$word
    before=$word id=$word
done
[ "$run" ] || exec {runtime} "$@"
if ! grep -q -F '"cgroupsPath":"{group}/'"$id"'"' "$bundle/config.json"; then
    echo "stoker: a step may not choose its cgroup; leave cgroup-parent out" >&2
    exit 1
fi
# The score is for the step alone: this process and runc are worth as much as buildkitd.
sed -i -e 's/"process":{{/&"oomScoreAdj":{score},/' \\
    -e 's/\\("syscalls":\\[.*\\)"ioctl",/\\1/' -e 's/"syscalls":\\[/&{ioctls},/' "$bundle/config.json" || exit 1
{runtime} "$@"
code=$?
if [ "$code" != 0 ] && [ -r "{events}" ]; then
    while read -r name count; do
        [ "$name" = oom_kill ] && [ "$count" -gt 0 ] || continue
        echo "stoker: the machine ran out of memory, so the kernel killed something in this step;" \
            "give the project larger hardware, or let it run less at once" >&2
    done <"{events}"
fi
exit "$code"
"""
_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class MachineFolder:
    """Where the files of a running machine are; all of it goes when the machine stops."""

    path: Path

    @property
    def config(self) -> Path:
        """The engine's configuration."""
        return self.path / "buildkitd.toml"

    @property
    def network(self) -> Path:
        """The CNI configuration for RUN steps."""
        return self.path / "cni.conflist"

    @property
    def network_lock(self) -> Path:
        """Locked for as long as the network isn't there."""
        return self.path / "network.lock"

    @property
    def privileges(self) -> Path:
        """What the machine was started with of its project's privileges."""
        return self.path / "privileges.json"

    @property
    def container_runtime(self) -> Path:
        """The script that buildkitd calls to run a step."""
        return self.path / "container-runtime"

    @property
    def container_state(self) -> Path:
        """Where the container runtime remembers its containers."""
        return self.path / "containers"

    @property
    def network_state(self) -> Path:
        """Where CNI remembers what it did; the machine sees it as `CNI_STATE`."""
        return self.path / "cni"

    @property
    def network_plugins(self) -> Path:
        """The CNI plugins that it may use."""
        return self.path / "cni-plugins"

    @property
    def addresses(self) -> Path:
        """Where the addresses given to steps are remembered."""
        return self.path / "addresses"

    @property
    def temporary(self) -> Path:
        """The engine's TMPDIR and HOME."""
        return self.path / "tmp"

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """The folders in it, which each start begins empty."""
        return self.container_state, self.network_state, self.network_plugins, self.addresses, self.temporary

    @property
    def log(self) -> Path:
        """The engine's output."""
        return self.path / f"{self.path.name}.log"


def make_machine_view(config: ProcessRuntimeConfig) -> Path:
    """Make the place where a machine sees its own folder, in its own mount namespace alone.

    It is where BuildKit looks for a configuration before it reads its options, so it finds its own there. Otherwise it
    would take the host's, and where that has none run a program of each architecture that it knows.
    """
    with suppress(OSError):
        _BUILDKIT_FOLDER.mkdir(mode=0o755, exist_ok=True)
        return _BUILDKIT_FOLDER
    view = config.run_folder / "machine"
    view.mkdir(mode=0o700, parents=True, exist_ok=True)
    return view


def container_runtime_script(folder: MachineFolder, cgroup: str, memory_events: Path | None) -> str:
    """What buildkitd calls instead of runc or crun.

    It keeps their state in the machine's folder, so that none is left in /run after a hard kill; refuses to run a step
    outside the machine's ``cgroup``, which a build could ask for; forbids steps to make subvolumes, which would not
    count towards their volume's cap; lets the kernel kill steps before buildkitd when memory is short; and tells the
    step's log when that happened.

    Args:
        folder: the machine's folder.
        cgroup: the machine's group, as steps name it.
        memory_events: the file that counts kills in the group of the step ``$id``; None where memory isn't limited.
    """
    program = find_program("runc", "crun", package="runc")
    return _CONTAINER_RUNTIME.format(
        runtime=f"{shlex.quote(program)} --root {shlex.quote(str(folder.container_state))}",
        group=f"{cgroup}/{STEPS_GROUP}",
        events="" if memory_events is None else memory_events,
        score=_STEP_SCORE,
        ioctls=_ioctl_rules(),
    )


def _ioctl_rules() -> str:
    """Rules of a seccomp profile (OCI runtime-spec, config-linux.md) that allow all ioctls but those of btrfs.

    Their numbers have a type in bits 8 to 15 (ioctl(2)). It is another's when one of its bits is; seccomp can't say
    "not equal" of a part. Copying by reference is allowed: three calls that other file systems have too.
    """
    bits = [(1 << bit, (_BTRFS_TYPE << 8 ^ 1 << bit) & 1 << bit) for bit in range(8, 16)]
    others = [{"index": 1, "value": mask, "valueTwo": expected, "op": "SCMP_CMP_MASKED_EQ"} for mask, expected in bits]
    copying = [{"index": 1, "value": call, "op": "SCMP_CMP_EQ"} for call in _COPYING]
    rules = [{"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": [rule]} for rule in (*others, *copying)]
    return ",".join(json.dumps(rule, separators=(",", ":")) for rule in rules)


def _cache_rules(spec: MachineSpec, min_free_bytes: int) -> list[dict[str, object]]:
    """Two rules: one with both limits would drop only what is old and over the cap."""
    days = spec.cache_policy.keep_days
    # A rule that keeps things for no time at all would drop everything.
    by_age: list[dict[str, object]] = [{"all": True, "keepDuration": f"{days * _DAY_SECONDS}s"}] if days else []
    by_size = {"maxUsedSpace": spec.cache_policy.keep_bytes, "minFreeSpace": min_free_bytes}
    return [*by_age, {"all": True, **by_size}]


def engine_config(
    spec: MachineSpec,
    config: ProcessRuntimeConfig,
    folder: MachineFolder,
    *,
    volume: Path,
    min_free_bytes: int,
    port: int,
    cgroup: str,
    view: Path,
    isolated: bool = True,
) -> str:
    """The engine's configuration (BuildKit's docs/buildkitd.toml.md).

    ``view`` is where the machine sees its own folder. When it isn't ``isolated``, steps are on the host's own network.
    """
    platforms = [str(spec.platform)]
    network: dict[str, object] = {"networkMode": "host"}
    if isolated:
        plugins = str(folder.network_plugins)
        network = {"networkMode": "cni", "cniConfigPath": str(folder.network), "cniBinaryPath": plugins}
    worker: dict[str, object] = {
        "enabled": True,
        # Its own probe: overlayfs where the volume's file system can, else native.
        "snapshotter": "auto",
        "binary": str(folder.container_runtime),
        **network,
        "defaultCgroupParent": cgroup,
        "max-parallelism": config.max_parallelism or spec.size.cpus,
        "gc": True,
        "gcpolicy": _cache_rules(spec, min_free_bytes),
        # What it offers first. It adds what else runs here when somebody asks.
        "platforms": platforms,
    }
    certificates = spec.certificates
    # Otherwise the host's own, read again whenever they change.
    names = {"dns": {"nameservers": [str(server) for server in config.name_servers]}} if config.name_servers else {}
    return tomli_w.dumps(
        {
            **names,
            "root": str(volume),
            "insecure-entitlements": sorted(spec.privileges.entitlements),
            "grpc": {
                "address": [f"tcp://127.0.0.1:{port}"],
                "tls": {
                    "cert": str(certificates.certificate.absolute()),
                    "key": str(certificates.key.absolute()),
                    # With a CA given, buildkitd asks every caller for a certificate signed by it.
                    "ca": str(certificates.ca.absolute()),
                },
            },
            "otel": {"socketPath": str(view / "otel.sock")},
            "cdi": {"disabled": True},
            "history": {"maxAge": f"{config.history_seconds}s", "maxEntries": config.history_entries},
            "worker": {"oci": worker, "containerd": {"enabled": False, "platforms": platforms}},
        }
    )
