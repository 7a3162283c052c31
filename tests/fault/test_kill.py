"""Killing any one of our processes loses nothing that did not depend on it, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot, Result
from tests.harness.endpoint import get_endpoint
from tests.harness.leftovers import leftovers
from tests.harness.server import Server
from tests.harness.waiting import eventually
from tests.harness.waiting_step import WAIT, end_waiting_steps

MakeServer = Callable[..., Server]


@pytest.fixture
def own(make_server: MakeServer) -> Server:
    """A server of the test's own, which it may break."""
    return make_server()


def slow_context(folder: Path, seconds: int) -> Path:
    return make_context(folder, HEADER + run(f"echo begun; sleep {seconds}; echo done"))


def begin(depot: Depot, context: Path) -> subprocess.Popen[str]:
    """Start a build and return when its RUN step is running."""
    return depot.begin(cwd=context, until=" begun")


def wait_for_line(lines: Iterable[str], text: str) -> None:
    said: list[str] = []
    for line in lines:
        said.append(line)
        if text in line and "RUN" not in line:
            return
    raise AssertionError(f"it ended before it said {text!r}: {''.join(said)}")


def end(process: subprocess.Popen[str]) -> Result:
    output, _ = process.communicate(timeout=120)
    return Result(process.returncode, output)


def machine_pids(server: Server) -> list[int]:
    return server.machine_processes()


def test_a_build_survives_the_death_of_the_api(own: Server, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run(f"echo begun; {WAIT}; echo done"))
    building = begin(Depot(own, tmp_path), context)
    api, machines = own.part("api"), machine_pids(own)

    os.kill(api, signal.SIGKILL)
    eventually(lambda: "the API is back" in own.output, "the API is back")
    end_waiting_steps(own)
    result = end(building)

    assert result.code == 0, result.output
    assert own.builds()[-1][1:] == ("succeeded", None)
    assert own.part("api") != api
    assert machine_pids(own) == machines, "the machine was adopted, not started again"
    assert Depot(own, tmp_path).build(cwd=context).cached == 2


def test_stoker_build_reports_its_end_to_an_api_that_restarts(own: Server, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run(f"echo begun; {WAIT}"))
    engine = {"STOKER_CACHE": str(own.cache), "STOKER_ENGINE_FOLDER": str(own.engine.buildctl.parent)}
    building = Command(tmp_path, {**own.first, **engine}).popen("build", str(context), "--progress", "plain")
    assert building.stdout is not None
    wait_for_line(building.stdout, "begun")

    os.kill(own.pid, signal.SIGSTOP)
    try:
        os.kill(own.part("api"), signal.SIGKILL)
        end_waiting_steps(own)
        wait_for_line(building.stdout, "trying again")
    finally:
        os.kill(own.pid, signal.SIGCONT)
    result = end(building)

    assert result.code == 0, result.output
    assert own.builds()[-1][1:] == ("succeeded", None)


def test_calls_at_the_gateway_wait_for_an_api_that_restarts(own: Server, tmp_path: Path) -> None:
    build, token = own.new_build()
    endpoint = get_endpoint(own, build, token, tmp_path / "endpoint")
    assert endpoint.buildctl("debug", "workers").code == 0

    os.kill(own.part("api"), signal.SIGKILL)
    during = endpoint.buildctl("debug", "workers")

    assert during.code == 0, during.output
    eventually(lambda: "the API is back" in own.output, "the API is back")
    own.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, "success": {}})


def test_a_machine_that_dies_fails_its_build_with_a_reason_and_is_back_with_its_cache(
    own: Server, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo kept") + run("echo begun; sleep 30"))
    depot = Depot(own, tmp_path)
    first = make_context(tmp_path / "first", HEADER + run("echo kept"))
    assert depot.build(cwd=first).code == 0
    own.call("depot.core.v1.ProjectService/GetProject", {"projectId": own.project})
    building = begin(depot, context)

    os.kill(machine_pids(own)[0], signal.SIGKILL)
    result = end(building)

    assert result.code != 0
    eventually(lambda: own.builds()[-1][1] == "failed", "the build is recorded as failed")
    assert "ended unexpectedly" in (own.builds()[-1][2] or "")
    again = depot.build(cwd=first)
    assert again.code == 0, again.output


def test_the_gateway_is_back_by_itself(own: Server, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    depot = Depot(own, tmp_path)
    assert depot.build(cwd=context).code == 0
    gateway = own.part("gateway")

    os.kill(gateway, signal.SIGKILL)
    eventually(lambda: "the gateway is back" in own.output, "the gateway is back")

    assert own.part("gateway") != gateway
    again = depot.build(cwd=context)
    assert (again.code, again.cached) == (0, 2), again.output


def test_a_server_whose_supervisor_was_killed_is_taken_over(own: Server, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert Depot(own, tmp_path).build(cwd=context).code == 0
    machines, old_api = machine_pids(own), own.part("api")
    assert own.process is not None

    own.process.kill()
    own.process.wait(10)
    assert Depot(own, tmp_path).build(cwd=context).cached == 2, "the API and the gateway go on without it"
    own.start()

    assert "took over the API of a server that was killed" in own.output
    assert own.part("api") != old_api
    assert machine_pids(own) == machines
    assert Depot(own, tmp_path).build(cwd=context).cached == 2
    own.stop()
    assert leftovers(own) == []


def test_nothing_is_left_after_a_stop(own: Server, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert Depot(own, tmp_path).build(cwd=context).code == 0
    assert any(line.startswith("link") for line in leftovers(own)), "the look would see a network"
    assert any(line.startswith("cgroup") for line in leftovers(own)), "the look would see a cgroup"

    own.stop()

    assert leftovers(own) == []
    own.start()
    assert Depot(own, tmp_path).build(cwd=context).cached == 2


def test_a_stop_waits_for_a_running_build(own: Server, tmp_path: Path) -> None:
    building = begin(Depot(own, tmp_path), slow_context(tmp_path / "context", 3))

    own.stop()

    assert end(building).code == 0
    assert "waiting up to" in own.output
    assert own.builds()[-1][1] == "succeeded"
    assert leftovers(own) == []


def test_a_second_interrupt_stops_at_once(own: Server, tmp_path: Path) -> None:
    building = begin(Depot(own, tmp_path), slow_context(tmp_path / "context", 60))
    assert own.process is not None

    own.process.send_signal(signal.SIGINT)
    eventually(lambda: "waiting up to" in own.output, "the server waits for the build")
    own.process.send_signal(signal.SIGINT)
    own.process.wait(20)

    assert end(building).code != 0
    assert leftovers(own) == []
    own.process = None
    own.start()
    eventually(lambda: own.builds()[-1][1] == "failed", "the cut build is recorded as failed")


def test_the_next_start_cleans_up_after_a_power_cut_and_only_that(
    make_server: MakeServer, own: Server, tmp_path: Path
) -> None:
    neighbour = make_server()
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert Depot(neighbour, tmp_path).build(cwd=context).code == 0
    neighbours = leftovers(neighbour)
    building = begin(Depot(own, tmp_path), slow_context(tmp_path / "slow", 60))

    own.kill_everything()
    end(building)
    assert leftovers(own) != []
    own.start()

    eventually(lambda: own.builds()[-1][1] == "failed", "the cut build is recorded as failed")
    eventually(lambda: not own.placements(), "the dead machine is cleaned up")
    assert leftovers(neighbour) == neighbours
    assert Depot(own, tmp_path).build(cwd=context).code == 0
    own.stop()
    assert leftovers(own) == []
    assert leftovers(neighbour) == neighbours
