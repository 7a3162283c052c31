"""Talk to the outermost process of a machine in a user namespace (`stoker.runtimes.process.host.namespaces`)."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from stoker.runtimes.errors import MachineStartFailed
from stoker.runtimes.process.engine.interpreter import interpreter
from stoker.runtimes.process.host import namespaces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Seen:
    """A folder of the host, and where the machine sees it."""

    source: Path
    target: Path
    read_only: bool


class Outermost:
    """An outermost process, and the socket for its orders. When this process dies before `connect`, it ends too."""

    def __init__(self, environment: Mapping[str, str], log: IO[bytes]) -> None:
        """Start it. It waits for `enter`.

        Raises:
            OSError: it could not be started.
        """
        ours, its = socket.socketpair()
        self._socket = ours
        self._answers = ours.makefile("rb")
        try:
            with its:
                self.process = subprocess.Popen(
                    [interpreter(), "-I", "-S", namespaces.__file__],
                    stdin=its.fileno(),
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=environment,
                    # Out of the terminal's reach: a Ctrl-C there is for the server alone.
                    start_new_session=True,
                )
        except BaseException:
            self._close()
            raise

    def enter(self, first_id: int, score: int) -> int:
        """Make the namespaces, with the host's ids from ``first_id`` on; the id of the first process in them.

        Its oom_score_adj (proc(5)) is ``score``, or that of this process if that is higher.

        Raises:
            MachineStartFailed: the kernel refused.
            OSError: it has ended.
        """
        return int(self._ask({"first_id": first_id, "score": score})["process_id"])

    def run(self, seen: Sequence[Seen], resolvers: str, command: Sequence[str], covered: Sequence[Path] = ()) -> None:
        """Make the first process that command, which sees these folders and this resolv.conf(5).

        What is in ``covered`` it doesn't see, but for those folders.

        Raises:
            MachineStartFailed: the kernel refused.
            OSError: it has ended.
        """
        folders = [(str(one.source), str(one.target), "ro" if one.read_only else "rw") for one in seen]
        hidden = [str(folder) for folder in covered]
        self._ask({"covered": hidden, "folders": folders, "resolvers": resolvers, "command": list(command)})

    def connect(self) -> None:
        """Let the command continue, through its standard input, and close the socket."""
        self._socket.sendall(b"go\n")
        self._close()

    def end(self) -> None:
        """Kill it, and all that is in its namespaces."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        self._socket.sendall(json.dumps(order).encode() + b"\n")
        line = self._answers.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "its first process ended"}
        if "error" in answer:
            raise MachineStartFailed(f"its namespaces can't be made: {answer['error']}")
        return answer

    def _close(self) -> None:
        self._answers.close()
        self._socket.close()
