"""Start buildkitd as root of a user namespace, which is nobody on the host.

The machine has its own user, mount, pid, network, IPC and UTS namespaces, made by
`stoker.runtimes.process.host.namespaces`. It sees its files in folders of its own, through mounts in which they belong
to its root.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.runtimes.process.engine.container_runtime import programs
from stoker.runtimes.process.engine.engine_files import BUILDKIT_FOLDER, CNI_STATE, MachineFolder
from stoker.runtimes.process.engine.launch import environment, first_process
from stoker.runtimes.process.engine.logs import trim
from stoker.runtimes.process.engine.visible import shown
from stoker.runtimes.process.host.outermost import Outermost, Seen

if TYPE_CHECKING:
    from stoker.runtimes.process.config import ProcessRuntimeConfig

_INSIDE = Path("/run/stoker")
# BuildKit's defaults in a user namespace are for one that has neither a network nor cgroups of its own.
_AS_ROOT = ("--rootless=false", "--oci-worker-rootless=false")
INSIDE = MachineFolder(_INSIDE / "machine")
"""The machine's folder, as the machine sees it."""
VOLUME_INSIDE = _INSIDE / "volume"
"""The volume, as the machine sees it."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What a machine is to see."""

    folder: Path
    volume: Path
    resolvers: str


class UserLaunch:
    """A machine's processes: see `stoker.runtimes.process.engine.launch.Launch`."""

    def __init__(self, config: ProcessRuntimeConfig, folder: MachineFolder) -> None:
        """Start the outermost process, which waits for `enter`. When this process dies before that, it ends.

        Raises:
            OSError: it could not be started.
        """
        self._config = config
        trim(folder.log, config.log_bytes)
        folder.network_lock.touch(mode=0o600)
        with folder.log.open("ab") as log:
            self._outermost = Outermost(environment(config, INSIDE), log)
        self.process = self._outermost.process

    def move(self, cgroup_files: list[Path]) -> None:
        """Put the process into its cgroups: see `Launch.move`."""
        for file in cgroup_files:
            file.write_text(str(self.process.pid))

    def enter(self, first_id: int) -> int:
        """Make the namespaces; the id of the machine's first process.

        Raises:
            MachineStartFailed: the kernel refused.
        """
        return self._outermost.enter(first_id)

    def show(self, inside: Inside) -> None:
        """Say what the machine is to see once it begins."""
        seen = [
            (inside.folder, INSIDE.path, False),
            (inside.folder, BUILDKIT_FOLDER, False),
            (inside.folder / INSIDE.network_state.name, CNI_STATE, False),
            (inside.volume, VOLUME_INSIDE, False),
        ]
        self._seen = [Seen(source, target, read_only=read_only) for source, target, read_only in seen]
        self._programs = shown([self._config.buildkitd.parent, *programs(self._config)])
        self._seen += [Seen(folder, folder, read_only=True) for folder in self._programs.folders]
        self._resolvers = inside.resolvers

    def begin(self) -> None:
        """Let the engine start: see `Launch.begin`.

        Raises:
            MachineStartFailed: the kernel refused a mount.
        """
        command = [*first_process(INSIDE, self._config.buildkitd.resolve()), *_AS_ROOT]
        self._outermost.run(self._seen, self._resolvers, command, self._programs.covered)

    def connect(self) -> None:
        """Let it run steps: see `Launch.connect`."""
        self._outermost.connect()

    def abandon(self) -> None:
        """End what was started: see `Launch.abandon`."""
        self._outermost.end()
