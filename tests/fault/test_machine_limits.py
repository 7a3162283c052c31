"""Hardware and cache policy are real: a build killed for memory says so, and a change breaks no build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stoker.domain.hardware import GIBIBYTE
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.endpoint import get_endpoint
from tests.harness.server import Server
from tests.harness.waiting import eventually

UPDATE = "depot.core.v1.ProjectService/UpdateProject"
FINISH = "depot.build.v1.BuildService/FinishBuild"
SMALLEST = "HARDWARE_4X4"
TAKE_ALL = run("dd if=/dev/zero of=/memory/all bs=1M count=6000", "--mount=type=tmpfs,target=/memory")


@pytest.fixture(scope="module")
def own(make_server: Callable[..., Server]) -> Server:
    return make_server()


def runs(server: Server, project: str) -> tuple[str, int]:
    """A project's machine: its state, and how often it was started."""
    return server.query("select state, run from machines where project_id = ?", project)[0]


def test_a_build_killed_for_memory_says_so_in_its_record_and_to_its_client(own: Server, tmp_path: Path) -> None:
    project = own.new_project()
    assert own.call(UPDATE, {"projectId": project, "hardware": SMALLEST}).status == 200
    context = make_context(tmp_path / "context", HEADER + TAKE_ALL)

    failed = Depot(own, tmp_path).build(cwd=context, DEPOT_PROJECT_ID=project)

    assert failed.code != 0
    assert "the machine ran out of memory" in failed.output, failed.output
    (machine,) = own.machines(project)
    assert machine.placement["memory_bytes"] == 4 * GIBIBYTE
    eventually(lambda: own.builds(project)[-1][1] == "failed", "the build is recorded as failed")
    assert "the machine ran out of memory (limit 4 GiB)" in (own.builds(project)[-1][2] or "")
    assert runs(own, project) == ("ready", 1), "the machine goes on"


@pytest.mark.parametrize("change", [{"hardware": SMALLEST}, {"cachePolicy": {"keepBytes": 10**10, "keepDays": 3}}])
def test_a_change_counts_at_once_for_an_idle_machine_and_keeps_its_cache(
    own: Server, tmp_path: Path, change: dict[str, object]
) -> None:
    project = own.new_project()
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    depot = Depot(own, tmp_path)
    assert depot.build(cwd=context, DEPOT_PROJECT_ID=project).code == 0
    assert own.call(UPDATE, {"projectId": project, "name": "renamed"}).status == 200

    assert own.call(UPDATE, {"projectId": project, **change}).status == 200

    eventually(lambda: runs(own, project) == ("stopped", 1), "the idle machine stops")
    again = depot.build(cwd=context, DEPOT_PROJECT_ID=project)
    assert (again.code, again.cached) == (0, 2), again.output
    assert own.call(UPDATE, {"projectId": project, **change}).status == 200
    assert runs(own, project) == ("ready", 2), "what changes nothing stops nothing"


def test_a_change_waits_for_the_build_that_holds_the_machine(own: Server, tmp_path: Path) -> None:
    project = own.new_project()
    build, token = own.new_build(project)
    endpoint = get_endpoint(own, build, token, tmp_path / "endpoint")

    assert own.call(UPDATE, {"projectId": project, "hardware": SMALLEST}).status == 200

    assert endpoint.buildctl("debug", "workers").code == 0
    assert runs(own, project) == ("ready", 1)
    own.call(FINISH, {"buildId": build, "success": {}})
    eventually(lambda: runs(own, project) == ("stopped", 1), "the machine stops when its last build has ended")
