"""A clock that jumps while a real server runs and builds costs nobody anything, and its record stays sensible."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.browser import Browser, join
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.endpoint import get_endpoint
from tests.harness.people import invite
from tests.harness.server import Server
from tests.harness.waiting import eventually
from tests.harness.waiting_step import WAIT, end_waiting_steps
from tests.harness.wall_clock import WallClock, make_wall_clock

HOUR = 3600
ALIVE = "depot.cli.v1.BuildService/ReportBuildHealth"
MICROSECOND = 1e-6


@dataclass
class World:
    """A server, and its clock."""

    server: Server
    clock: WallClock

    def jump_to(self, seconds: int) -> None:
        """Let the clock be wrong by so much from now on, and return when the server has noticed."""
        before = self._jumps()
        self.clock.be_wrong_by(seconds)
        eventually(lambda: self._jumps() > before, "the server notices")

    def _jumps(self) -> int:
        return (self.server.data / "logs" / "api.log").read_text().count("the clock jumped by")

    def seconds_of(self, build: str) -> tuple[float, float]:
        """How long a build took by the record, and how long its lease lasted."""
        query = "select b.finished_at - b.started_at, l.ended_at - l.created_at from builds b, leases l"
        rows = self.server.query(f"{query} where b.id = l.build_id and b.id = ?", build)
        ((built, held),) = rows
        return built * MICROSECOND, held * MICROSECOND

    def runs(self) -> list[tuple[str, int, str]]:
        return [(row[0], row[1], row[2]) for row in self.server.query("select id, run, state from machines")]


@pytest.fixture(scope="module")
def world(make_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> World:
    clock = make_wall_clock(tmp_path_factory.mktemp("clock"))
    return World(make_server(launcher=clock.launcher), clock)


def running_builds(server: Server) -> set[str]:
    return {build for build, status, _ in server.builds() if status == "running"}


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_builds_go_on_when_the_clock_jumps_by_an_hour(world: World, tmp_path: Path, jump: int) -> None:
    server, began = world.server, time.monotonic()
    browser = Browser(server.url)
    join(
        browser, invite(server, f"someone{jump}@example.com", "ROLE_MEMBER"), name="Someone", password="a long password"
    )
    assert browser.get("/").status == 200
    depot, context = Depot(server, tmp_path), make_context(tmp_path / "context", HEADER + run(f"echo {jump}; {WAIT}"))
    running = depot.begin(cwd=context, until=str(jump))
    (build,) = running_builds(server)
    known, runs = {one[0] for one in server.builds()}, world.runs()
    other, token = server.new_build()
    endpoint = get_endpoint(server, other, token, tmp_path / "endpoint")

    world.jump_to(jump)

    assert running_builds(server) == {build, other}
    health = server.call(ALIVE, {"buildId": other, "platform": "BUILDER_PLATFORM_AMD64"}, token=token)
    assert (health.status, health.body) == (200, {}), "it is told to go on"
    listed = endpoint.buildctl("debug", "workers")
    assert listed.code == 0, f"certificates made before the jump are good: {listed.output}"
    assert browser.get("/").path == "/", "who was signed in still is"
    quick = make_context(tmp_path / "quick", HEADER + run(f"echo quick {jump}"))
    within = depot.build(cwd=quick)
    assert within.code == 0, within.output
    end_waiting_steps(server)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0, output
    finish = {"buildId": other, "success": {}}
    assert server.call("depot.build.v1.BuildService/FinishBuild", finish).status == 200

    world.jump_to(0)

    assert browser.get("/").path == "/"
    after = depot.build(cwd=quick)
    assert (after.code, after.cached) == (0, 2), after.output
    assert world.runs() == runs, "no machine was stopped or started"
    took = time.monotonic() - began
    for one in {build} | {one[0] for one in server.builds()} - known:
        assert all(0 <= seconds <= took for seconds in world.seconds_of(one)), (
            "the record's times are those that went by"
        )
