"""A RUN step that waits until its test lets it end."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.harness.server import Server
from tests.harness.waiting import eventually

_SECONDS = "987"
WAIT = f"sleep {_SECONDS} || true"
"""A command for the step's shell; what is behind it runs after `end_waiting_steps`."""


def end_waiting_steps(server: Server) -> None:
    """Let the steps of a server's machines that wait go on."""
    server_id = server.query("select value from facts where name = 'server_id'")[0][0]
    eventually(lambda: _waiting(server_id), "a step waits")
    for pid in _waiting(server_id):
        # Of this one the shell says nothing.
        os.kill(pid, signal.SIGPIPE)


def make_file_inside(process_id: int, path: str) -> None:
    """Make an empty file where a process of a step sees it, by its own busybox and as its root."""
    namespaces = [Path("/proc", process, "ns/user").readlink() for process in (str(process_id), "self")]
    enter = ["nsenter", f"--target={process_id}", "--mount", *(["--user"] if len(set(namespaces)) > 1 else [])]
    subprocess.run([*enter, "/bin/busybox", "touch", path], capture_output=True, check=True)


def _waiting(server_id: str) -> list[int]:
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            inside = (folder / "cgroup").read_text()
        except OSError:
            continue
        if words[-2:-1] == [_SECONDS.encode()] and f"/stoker/{server_id}/" in inside:
            found.append(int(folder.name))
    return found
