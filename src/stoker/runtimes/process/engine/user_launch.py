"""Start buildkitd as root of a user namespace, which is nobody on the host.

The machine has its own user, mount, pid, network, IPC and UTS namespaces, made by
`stoker.runtimes.process.host.namespaces`. It sees its files in folders of its own, through mounts in which they belong
to its root.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stoker.runtimes.process.engine.container_runtime import programs
from stoker.runtimes.process.engine.engine_files import CNI_STATE, MachineFolder
from stoker.runtimes.process.engine.launch import OOM_SCORE, environment, first_process
from stoker.runtimes.process.engine.logs import trim
from stoker.runtimes.process.engine.visible import shown
from stoker.runtimes.process.host.outermost import Outermost, Seen

if TYPE_CHECKING:
    from stoker.runtimes.process.config import ProcessRuntimeConfig
    from stoker.runtimes.process.engine.launch import Surroundings

_INSIDE = Path("/run/stoker")
# BuildKit's defaults in a user namespace are for one that has neither a network nor cgroups of its own.
_AS_ROOT = ("--rootless=false", "--oci-worker-rootless=false")
INSIDE = MachineFolder(_INSIDE / "machine")
"""The machine's folder, as the machine sees it."""
VOLUME_INSIDE = _INSIDE / "volume"
"""The volume, as the machine sees it."""


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

    def enter(self, first_id: int) -> int:
        """Make the namespaces; the id of the machine's first process.

        Raises:
            MachineStartFailed: the kernel refused.
        """
        return self._outermost.enter(first_id, OOM_SCORE)

    def begin(self, surroundings: Surroundings) -> None:
        """Let the engine start: see `Launch.begin`."""
        folder = surroundings.folder
        own = {
            INSIDE.path: folder.path,
            surroundings.view: folder.path,
            CNI_STATE: folder.network_state,
            VOLUME_INSIDE: surroundings.volume,
        }
        seen = [Seen(source, target, read_only=False) for target, source in own.items()]
        needed = shown([self._config.buildkitd.parent, *programs(self._config)])
        seen += [Seen(program, program, read_only=True) for program in needed.folders]
        command = [*first_process(INSIDE, self._config.buildkitd.resolve()), *_AS_ROOT]
        self._outermost.run(seen, surroundings.resolvers, command, needed.covered)

    def connect(self) -> None:
        """Let it run steps: see `Launch.connect`."""
        self._outermost.connect()

    def abandon(self) -> None:
        """End what was started: see `Launch.abandon`."""
        self._outermost.end()
