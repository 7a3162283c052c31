"""Start buildkitd contained: own mount and pid namespace, own cgroups.

Three processes: `unshare` outside, a shell as the first process of the new pid namespace, and buildkitd as its child.
The death of any of them ends the namespace, and with it every step, mount and network namespace that buildkitd made:
they are in nobody else's namespaces.

buildkitd needs its network late in its start, when it tries CNI, which it does under a lock where the variable
BUILDKIT_CNI_INIT_LOCK_PATH names one (BuildKit's util/network/cniprovider). So the network is made while it starts,
and the first process holds that lock until all of it is there.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stoker.runtimes.process.engine.engine_files import CNI_STATE
from stoker.runtimes.process.engine.logs import trim
from stoker.runtimes.process.network.proxies import VARIABLES
from stoker.runtimes.programs import find_program

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.runtimes.process.config import ProcessRuntimeConfig
    from stoker.runtimes.process.engine.engine_files import MachineFolder

# Waits until it has been put into its cgroups; when the server dies before that, it ends too.
# The kernel is to end machines before the API, whose score they would have, and after steps. Raising it is allowed to
# everybody.
OOM_SCORE = 100
_WAIT = (
    f'read -r score <"/proc/$$/oom_score_adj"; [ "$score" -ge {OOM_SCORE} ] || '
    f'{{ echo {OOM_SCORE} >"/proc/$$/oom_score_adj"; }} 2>/dev/null; '
    'read -r go || exit 70; exec "$@"'
)

# Arguments: CNI's lock, a command. As the first process of its namespace it has to collect orphans, which waiting does.
# A signal interrupts the wait, so it waits again for as long as the engine is there.
_FIRST_PROCESS = (
    'exec 9>"$1" && flock 9 || exit 71; shift; '
    # When the server dies before there is a network, this ends, and the engine with it: it never has the lock.
    '"$@" </dev/null 9>&- & engine=$!; read -r go || exit 72; exec </dev/null 9>&-; '
    # Caught only once there is an engine to pass it to: until then `stop` sees that there is nobody to ask.
    "trap 'kill -TERM \"$engine\"' TERM; "
    'while :; do wait "$engine"; code=$?; kill -0 "$engine" 2>/dev/null || exit "$code"; done'
)

# The same, after arguments: the machine's folder, where it sees it, CNI's state in it, where CNI looks for it.
_FIRST_WITH_MOUNTS = 'mount --bind "$1" "$2" && mount --bind "$3" "$4" || exit 71; shift 4; ' + _FIRST_PROCESS

_GO = b"go\n"

# The server's environment holds secrets; only what fetching from the outside needs is handed on.
_ENVIRONMENT = VARIABLES | {"no_proxy", "ssl_cert_file", "ssl_cert_dir", "tz", "godebug"}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a machine sees of the host.

    Attributes:
        folder: its folder.
        view: where it sees that folder, as BuildKit looks for its configuration there.
        volume: its volume.
        resolvers: the text of its resolv.conf(5), where it has a network namespace of its own.
    """

    folder: MachineFolder
    view: Path
    volume: Path
    resolvers: str


class Launch(Protocol):
    """A machine's processes. At first there is one that waits. It is moved into its cgroups while files are written."""

    process: subprocess.Popen[bytes]

    def begin(self, surroundings: Surroundings) -> None:
        """Let the engine start: its files are there.

        Raises:
            MachineStartFailed: the kernel refused a mount.
        """
        ...

    def connect(self) -> None:
        """Let it run steps: its network is there. The processes no longer depend on this one."""
        ...

    def abandon(self) -> None:
        """End what was started."""
        ...


class HostLaunch:
    """A machine whose processes are the host's root: see `Launch`."""

    def __init__(self, config: ProcessRuntimeConfig, folder: MachineFolder, view: Path) -> None:
        """Start the outermost process, which waits for `begin`. When this process dies before that, it ends.

        Args:
            config: the runtime's settings.
            folder: exists; what is in it is not needed before `begin`.
            view: where the machine is to see its folder; exists too.

        Raises:
            OSError: it could not be started.
        """
        CNI_STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
        trim(folder.log, config.log_bytes)
        # Here rather than by the shell, whose failure nobody could explain.
        folder.network_lock.touch(mode=0o600)
        gate, self._key = os.pipe()
        try:
            with folder.log.open("ab") as log:
                self.process = subprocess.Popen(
                    _command(config, folder, view),
                    stdin=gate,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=environment(config, folder),
                    # Out of the terminal's reach: a Ctrl-C there is for the server alone.
                    start_new_session=True,
                )
        except BaseException:
            os.close(self._key)
            raise
        finally:
            os.close(gate)

    def begin(self, surroundings: Surroundings) -> None:
        """Let the engine start: see `Launch.begin`. It sees the host's files as they are."""
        del surroundings
        os.write(self._key, _GO)

    def connect(self) -> None:
        """Let it run steps: see `Launch.connect`."""
        os.write(self._key, _GO)
        os.close(self._key)

    def abandon(self) -> None:
        """End what was started: see `Launch.abandon`."""
        self.process.kill()
        self.process.wait()
        os.close(self._key)


def _command(config: ProcessRuntimeConfig, folder: MachineFolder, view: Path) -> list[str]:
    command = ["sh", "-c", _WAIT, "stoker-machine"]
    command += [find_program("unshare", package="util-linux"), "--mount", "--propagation", "slave", "--pid", "--fork"]
    command += ["--kill-child", "--mount-proc", "--"]
    command += ["sh", "-c", _FIRST_WITH_MOUNTS, "stoker-machine"]
    command += [str(folder.path), str(view), str(folder.network_state), str(CNI_STATE)]
    return [*command, *_engine(folder, config.buildkitd)]


def first_process(folder: MachineFolder, buildkitd: Path) -> list[str]:
    """The command that becomes the first process of a machine whose mounts are there."""
    return ["sh", "-c", _FIRST_PROCESS, "stoker-machine", *_engine(folder, buildkitd)]


def _engine(folder: MachineFolder, buildkitd: Path) -> list[str]:
    return [str(folder.network_lock), str(buildkitd), "--config", str(folder.config)]


def environment(config: ProcessRuntimeConfig, folder: MachineFolder) -> dict[str, str]:
    """The engine's environment; ``folder`` is the machine's as the machine sees it."""
    handed_on = {name: value for name, value in os.environ.items() if name.lower() in _ENVIRONMENT}
    temporary = str(folder.temporary)
    return {
        "PATH": _PATH,
        "HOME": temporary,
        "TMPDIR": temporary,
        "LANG": "C.UTF-8",
        # BuildKit has no other way to set them (util/progress/logs).
        "BUILDKIT_STEP_LOG_MAX_SIZE": str(config.step_log_bytes),
        "BUILDKIT_STEP_LOG_MAX_SPEED": str(config.step_log_bytes_per_second),
        "BUILDKIT_CNI_INIT_LOCK_PATH": str(folder.network_lock),
        **handed_on,
    }
