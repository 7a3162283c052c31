"""`stoker serve` as `nohup` and a script's `&` start it: with SIGHUP and SIGINT ignored."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.server import Server

IGNORING = ("sh", "-c", "trap '' HUP INT QUIT; exec \"$@\"", "sh")


def ignored(status: str) -> set[int]:
    """The signals that a process ignores, by the SigIgn line of its /proc/PID/status."""
    found = re.search(r"SigIgn:\s*([0-9a-f]{16})", status)
    assert found, status
    mask = int(found[1], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def test_steps_can_be_interrupted_and_the_server_stays_until_it_is_asked_to_stop(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server(launcher=IGNORING)
    for process in (server.part("api"), server.part("gateway")):
        assert not ignored(Path(f"/proc/{process}/status").read_text()) & {signal.SIGHUP, signal.SIGINT}
    context = make_context(tmp_path / "context", HEADER + run("cat /proc/self/status"))
    built = Depot(server, tmp_path).build(cwd=context)
    assert built.code == 0, built.output
    assert not ignored(built.output) & {signal.SIGHUP, signal.SIGINT}

    assert server.process is not None
    server.process.send_signal(signal.SIGHUP)
    assert server.answers()
    assert "stopping" not in server.output
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0
    assert server.output.rstrip().endswith("stopped")
