"""A machine that ends by itself again and again is started only after a pause, and everybody is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.endpoint import get_endpoint
from tests.harness.server import Server
from tests.harness.waiting import eventually

MACHINES = "stoker.v1.MachineService/ListMachines"


@pytest.fixture
def own(make_server: Callable[..., Server]) -> Server:
    return make_server(idle_seconds="1")


def crash(server: Server, depot: Depot, context: Path, number: int) -> str:
    """A build in the middle of which the machine dies, for that time in a row; why the record says that it failed."""
    building = depot.begin(cwd=context, until=" begun")
    os.kill(server.machine_processes()[0], signal.SIGKILL)
    building.communicate(timeout=60)
    assert building.returncode != 0
    eventually(lambda: server.builds()[-1][1] == "failed", "the build is recorded as failed")
    eventually(lambda: only_machine(server).get("crashes") == number, "the machine's end is known")
    return server.builds()[-1][2] or ""


def only_machine(server: Server) -> dict[str, object]:
    (machine,) = server.call(MACHINES).body["machines"]
    return machine


def test_three_crashes_in_a_row_bring_a_pause_and_a_success_ends_the_row(own: Server, tmp_path: Path) -> None:
    depot = Depot(own, tmp_path)
    kept = make_context(tmp_path / "kept", HEADER + run("echo kept"))
    slow = make_context(tmp_path / "slow", HEADER + run("echo begun; sleep 60"))
    assert depot.build(cwd=kept).code == 0
    eventually(lambda: only_machine(own)["state"] == "stopped", "the machine stops, and its cache is written")

    for number in (1, 2):
        assert "in a row" not in crash(own, depot, slow, number)
        assert only_machine(own)["crashes"] == number
        assert "retryAt" not in only_machine(own)
    assert "that was 3 times in a row, so it starts again in 5 s" in crash(own, depot, slow, 3)
    eventually(lambda: only_machine(own)["state"] == "stopped", "what is left of it is cleaned up")
    machine = only_machine(own)
    assert (machine["crashes"], machine["problem"]) == (3, str(own.builds()[-1][2]).splitlines()[-1])
    assert "retryAt" in machine
    stoker = Command(tmp_path, {"DEPOT_API_URL": own.url, "DEPOT_TOKEN": own.token})
    assert "crashed 3 times, starts at" in stoker.apart("machines").stdout

    again = depot.build(cwd=kept)

    assert (again.code, again.cached) == (0, 2), again.output
    assert "crashes" not in only_machine(own), "a build that succeeds ends the row"


def test_a_failure_that_a_client_told_first_is_explained(own: Server, tmp_path: Path) -> None:
    broken = "failed to solve: Unavailable: upstream connect error or disconnect/reset before headers"
    errors = (broken, "exit code: 1")
    holding, token = own.new_build()
    get_endpoint(own, holding, token, tmp_path / "holding")
    for number, error in enumerate(errors):
        build, token = own.new_build()
        get_endpoint(own, build, token, tmp_path / str(number))
        own.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, "error": {"error": error}})

    os.kill(own.machine_processes()[0], signal.SIGKILL)
    eventually(lambda: own.builds()[0][1] == "failed", "the machine's end is known")

    reasons = [reason for _, _, reason in own.builds()]
    assert "BuildKit ended unexpectedly" in str(reasons[0])
    assert reasons[1:] == [f"{broken}\n{reasons[0]}", "exit code: 1"]

    for number in (2, 3):
        build, token = own.new_build()
        get_endpoint(own, build, token, tmp_path / f"again-{number}")
        os.kill(own.machine_processes()[0], signal.SIGKILL)
        eventually(lambda: own.builds()[-1][1] == "failed", "the machine's next end is known")
    assert "3 times in a row" in str(own.builds()[-1][2])
    assert [reason for _, _, reason in own.builds()][:3] == reasons, "what is explained stays as it is"


def test_machines_are_listed_with_what_they_have(server: Server, tmp_path: Path) -> None:
    project = server.new_project()
    assert "machines" not in server.call(MACHINES, {"projectId": project}).body
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert Depot(server, tmp_path).build(cwd=context, DEPOT_PROJECT_ID=project).code == 0

    (machine,) = server.call(MACHINES, {"projectId": project}).body["machines"]

    assert (machine["state"], machine["platform"], machine["projectId"]) == ("ready", "linux/amd64", project)
    assert machine["cpus"] >= 1
    stoker = Command(tmp_path, {"DEPOT_API_URL": server.url, "DEPOT_TOKEN": server.token})
    printed = stoker.apart("machines", "--project", project).stdout
    assert machine["machineId"] in printed
