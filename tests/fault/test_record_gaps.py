"""Records of builds when something dies in the middle of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.endpoint import get_endpoint
from tests.harness.records import record_states, recorded, when_recorded
from tests.harness.server import Server
from tests.harness.waiting import eventually
from tests.harness.waiting_step import WAIT, end_waiting_steps

COUNT = "for n in $(seq 1 40); do echo line $n; sleep 0.1; done"
SAID = [f"line {n}" for n in range(1, 41)]


@pytest.fixture
def own(make_server: Callable[..., Server]) -> Server:
    """A server of the test's own, which it may break."""
    return make_server(drain_seconds="1")


def test_a_record_goes_on_after_the_death_of_the_api(own: Server, tmp_path: Path) -> None:
    steps = run("echo before") + run(COUNT) + run(WAIT) + run("echo after")
    context = make_context(tmp_path / "context", HEADER + steps)
    building = Depot(own, tmp_path).begin(cwd=context, until=" line 5")
    build = own.builds()[-1][0]
    eventually(lambda: own.query("select 1 from log_chunks"), "some of the log is stored")
    api = own.part("api")

    os.kill(api, signal.SIGKILL)
    eventually(lambda: "the API is back" in own.output, "the API is back")
    end_waiting_steps(own)
    building.communicate(timeout=120)

    assert own.part("api") != api
    assert building.returncode == 0
    when_recorded(own, build)
    logs = [step.log for step in recorded(own, build).values() if step.log]
    assert logs == [["before"], SAID, ["after"]], "nothing is missing, and nothing is there twice"


def test_buildkits_history_fills_the_gap_of_a_solve_that_ended_meanwhile(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    own = make_server(gateway_wait_seconds="1", drain_seconds="1")
    build, token = own.new_build()
    endpoint = get_endpoint(own, build, token, tmp_path / "endpoint")
    context = make_context(tmp_path / "context", HEADER + run("echo begun; sleep 2; echo done"))
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(endpoint.build, context)
        eventually(lambda: own.query("select 1 from log_chunks"), "some of the log is stored")
        os.kill(own.part("api"), signal.SIGSTOP)
        building.result()

    os.kill(own.part("api"), signal.SIGKILL)

    when_recorded(own, build)
    assert [step.log for step in recorded(own, build).values() if step.log] == [["begun", "done"]]
    own.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, "success": {}})


def test_a_record_says_that_its_machine_died(own: Server, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo begun; sleep 60"))
    building = Depot(own, tmp_path).begin(cwd=context, until=" begun")
    build = own.builds()[-1][0]
    eventually(lambda: own.query("select 1 from log_chunks"), "some of the log is stored")

    (machine,) = own.machines(own.project)
    os.kill(machine.process_id, signal.SIGKILL)
    building.communicate(timeout=120)

    when_recorded(own, build, "incomplete")
    ((_, reason),) = record_states(own, build)
    assert reason
    assert ["begun"] in [step.log for step in recorded(own, build).values()]
