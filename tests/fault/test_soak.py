"""Kill any process at any moment in the middle of builds, again and again: `make soak` does it a hundred times.

How many rounds there are, and which random numbers they use, are settings: STOKER_SOAK_ROUNDS and STOKER_SOAK_SEED.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.leftovers import cgroups_below, leftovers, unknown_volumes
from tests.harness.server import Server
from tests.harness.waiting import eventually

ROUNDS = int(os.environ.get("STOKER_SOAK_ROUNDS", "3"))
SEED = int(os.environ.get("STOKER_SOAK_SEED", "1"))
KINDS = ("API", "machine", "gateway", "step", "container runtime", "supervisor")
LONGEST_WAIT = 1.5
STEPS = 3


@dataclass
class Building:
    """A `depot build` that goes on."""

    project: str
    context: Path
    process: subprocess.Popen[str]

    def end(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=120)
        return self.process.returncode, output


def begin(depot: Depot, project: str, context: Path) -> Building:
    """Start a build, and return when its last step runs."""
    return Building(project, context, depot.begin(cwd=context, until=" begun", DEPOT_PROJECT_ID=project))


def processes_of(server: Server, name: str) -> list[int]:
    """Ids of the processes in the cgroups of a server's machines whose command is ``name``."""
    server_id = server.query("select value from facts where name = 'server_id'")[0][0]
    found: set[int] = set()
    for group in cgroups_below(f"stoker/{server_id}"):
        try:
            members = (group / "cgroup.procs").read_text().split()
        except OSError:
            continue
        for pid in members:
            try:
                command = Path("/proc", pid, "comm").read_text().strip()
            except OSError:
                continue
            if command == name:
                found.add(int(pid))
    return sorted(found)


def victims(server: Server, kind: str) -> list[int]:
    match kind:
        case "API":
            return [server.part("api")]
        case "gateway":
            return [server.part("gateway")]
        case "supervisor":
            return [server.pid]
        case "machine":
            return processes_of(server, "buildkitd")
        case "container runtime":
            return processes_of(server, "runc") + processes_of(server, "crun")
        case _:
            return processes_of(server, "busybox")


def kill_one(server: Server, kind: str, chance: random.Random) -> bool:
    found = victims(server, kind)
    if not found:
        return False
    pid = chance.choice(found)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    if kind == "supervisor":
        assert server.process is not None
        server.process.wait(10)
        server.start()
    return True


def check_records(server: Server, buildings: list[Building], kind: str) -> None:
    ended = [building.end() for building in buildings]
    for building, (code, output) in zip(buildings, ended, strict=True):
        ran = f"round of {kind}: the record of a build has an end, whose client ended with {code}: {output[-2000:]}"
        eventually(lambda project=building.project: newest(server, project)[0] != "running", ran, 60)
        status, error = newest(server, building.project)
        # A client that ends while the API is starting again can't say so, and shrugs; then its silence is recorded.
        if not (code == 0 and "error releasing builder" in output and "no health report" in (error or "")):
            assert (status == "succeeded") == (code == 0), (kind, status, error, output)
        assert status == "succeeded" or error, f"a build failed and its record doesn't say why: {output}"
        # Nothing that a build depends on while it runs.
        assert code == 0 or kind not in {"API", "supervisor"}, output


def newest(server: Server, project: str) -> tuple[str, str | None]:
    query = "select status, error from builds where project_id = ? order by id desc limit 1"
    return server.query(query, project)[0]


def builds_from_cache(server: Server, depot: Depot, project: str, context: Path) -> bool:
    done = depot.build(cwd=context, DEPOT_PROJECT_ID=project)
    return done.code == 0 and done.cached == STEPS


@pytest.fixture
def hardy(make_server: Callable[..., Server]) -> Server:
    return make_server(idle_seconds="60", lease_seconds="15")


@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_any_process_may_die_at_any_moment(hardy: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(SEED)  # noqa: S311
    depot = Depot(hardy, tmp_path)
    projects = [hardy.project, hardy.new_project()]
    known = make_context(tmp_path / "known", HEADER + run("echo kept") + run("echo kept too"))
    for project in projects:
        assert depot.build(cwd=known, DEPOT_PROJECT_ID=project).code == 0
    # A hard kill may cost the steps before it; what an orderly stop has written stays.
    hardy.stop()
    hardy.start()
    for number in range(ROUNDS):
        kind = KINDS[number % len(KINDS)]
        buildings = [
            begin(
                depot,
                project,
                make_context(
                    tmp_path / f"{number}-{position}", HEADER + run(f"echo {number} begun; sleep 2; echo done")
                ),
            )
            for position, project in enumerate(projects)
        ]
        # The moment is what is random here; nothing is waited for.
        threading.Event().wait(chance.random() * LONGEST_WAIT)
        killed = kill_one(hardy, kind, chance)
        check_records(hardy, buildings, kind)
        for project in projects:
            eventually(
                lambda project=project: builds_from_cache(hardy, depot, project, known),
                "builds come from the cache",
                60,
            )
        with capsys.disabled():
            sys.stdout.write(f"\nround {number + 1} of {ROUNDS}: {kind} {'killed' if killed else 'was not there'}")
    assert unknown_volumes(hardy) == set()
    hardy.stop()
    assert leftovers(hardy) == []
