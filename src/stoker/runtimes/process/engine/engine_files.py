"""The files that tell one buildkitd what to do."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.runtimes.engine_config import EngineBounds, EngineSurroundings, engine_config

if TYPE_CHECKING:
    from stoker.runtimes.contract import MachineSpec
    from stoker.runtimes.process.config import ProcessRuntimeConfig

# Fixed in libcni, which BuildKit gives no other folder.
CNI_STATE = Path("/var/lib/cni")
# Fixed in BuildKit (util/appdefaults).
BUILDKIT_FOLDER = Path("/etc/buildkit")


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
    """The folder of a running machine's files. It is deleted when the machine stops."""

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

    BuildKit reads a configuration there before it reads its options, so it finds its own. Otherwise it would read the
    host's. Without one, it would run a program of each architecture that it knows.
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


def machine_engine_config(
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
    """The engine's configuration: see `stoker.runtimes.engine_config`.

    ``view`` is where the machine sees its own folder. When it isn't ``isolated``, steps are on the host's own network.
    """
    network: dict[str, object] = {"networkMode": "host"}
    if isolated:
        plugins = str(folder.network_plugins)
        network = {"networkMode": "cni", "cniConfigPath": str(folder.network), "cniBinaryPath": plugins}
    surroundings = EngineSurroundings(
        volume=volume,
        address=f"tcp://{listen}:{port}",
        ca=folder.tls.ca,
        certificate=folder.tls.certificate,
        key=folder.tls.key,
        tracing_socket=tracing_socket(view),
        steps={"binary": str(folder.container_runtime), **network, "defaultCgroupParent": cgroup},
        name_servers=tuple(str(server) for server in config.name_servers),
    )
    bounds = EngineBounds(
        min_free_bytes=min_free_bytes,
        max_parallelism=config.max_parallelism,
        history_entries=config.history_entries,
        history_seconds=config.history_seconds,
    )
    return engine_config(spec, surroundings, bounds)
