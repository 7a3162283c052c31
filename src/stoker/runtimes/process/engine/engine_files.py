"""The files that tell one buildkitd what to do."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w

if TYPE_CHECKING:
    from stoker.runtimes.contract import MachineSpec
    from stoker.runtimes.process.config import ProcessRuntimeConfig

# Fixed in libcni, which BuildKit gives no other folder.
CNI_STATE = Path("/var/lib/cni")
# Fixed in BuildKit (util/appdefaults).
BUILDKIT_FOLDER = Path("/etc/buildkit")
_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class TlsFolder:
    """Where the certificates of a running machine are, in PEM."""

    path: Path

    @property
    def ca(self) -> Path:
        """Who may call the machine."""
        return self.path / "ca.pem"

    @property
    def certificate(self) -> Path:
        """What it shows to callers."""
        return self.path / "machine.pem"

    @property
    def key(self) -> Path:
        """The key of that."""
        return self.path / "machine.key"


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
    def step_rules(self) -> Path:
        """What that script lets steps have."""
        return self.path / "step-rules.json"

    @property
    def tls(self) -> TlsFolder:
        """Its certificates."""
        return TlsFolder(self.path / "tls")

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
        BUILDKIT_FOLDER.mkdir(mode=0o755, exist_ok=True)
        return BUILDKIT_FOLDER
    view = config.run_folder / "machine"
    view.mkdir(mode=0o700, parents=True, exist_ok=True)
    return view


def tracing_socket(view: Path) -> Path:
    """BuildKit's own socket for traces of steps; ``view`` is where the machine sees its folder."""
    return view / "otel.sock"


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
    listen: str = "127.0.0.1",
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
    # Otherwise the host's own, read again whenever they change.
    names = {"dns": {"nameservers": [str(server) for server in config.name_servers]}} if config.name_servers else {}
    return tomli_w.dumps(
        {
            **names,
            "root": str(volume),
            "insecure-entitlements": sorted(spec.privileges.entitlements),
            "grpc": {
                "address": [f"tcp://{listen}:{port}"],
                "tls": {
                    "cert": str(folder.tls.certificate),
                    "key": str(folder.tls.key),
                    # With a CA given, buildkitd asks every caller for a certificate signed by it.
                    "ca": str(folder.tls.ca),
                },
            },
            "otel": {"socketPath": str(tracing_socket(view))},
            "cdi": {"disabled": True},
            "history": {"maxAge": f"{config.history_seconds}s", "maxEntries": config.history_entries},
            "worker": {"oci": worker, "containerd": {"enabled": False, "platforms": platforms}},
        }
    )
