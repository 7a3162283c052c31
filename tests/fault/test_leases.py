"""Endpoints that nobody keeps alive end, and their machines with them; the cache stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.endpoint import get_endpoint
from tests.harness.server import Server
from tests.harness.waiting import eventually

PROJECTS = "depot.core.v1.ProjectService"


@pytest.fixture(scope="module")
def hasty(make_server: Callable[..., Server]) -> Server:
    """A server that waits for nothing long."""
    return make_server(lease_seconds="6", idle_seconds="1")


def connect(server: Server, project: str) -> str:
    """A build with an active endpoint, of which nothing more is heard."""
    build, token = server.new_build(project)
    request = {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"}
    eventually(
        lambda: "active" in server.call("depot.cli.v1.BuildService/GetBuildKitConnection", request, token=token).body,
        "the endpoint is active",
    )
    return build


def machines(server: Server, project: str) -> list[str]:
    return [row[0] for row in server.query("select state from machines where project_id = ?", project)]


def status_of(server: Server, build: str) -> tuple[str, str | None]:
    return server.query("select status, error from builds where id = ?", build)[0]


def test_a_build_without_health_fails_and_its_machine_stops_but_the_cache_stays(hasty: Server, tmp_path: Path) -> None:
    project = hasty.new_project()
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert Depot(hasty, tmp_path).build(cwd=context, DEPOT_PROJECT_ID=project).code == 0

    build = connect(hasty, project)

    eventually(lambda: status_of(hasty, build)[0] == "failed", "the build fails")
    assert "no health report" in (status_of(hasty, build)[1] or "")
    eventually(lambda: machines(hasty, project) == ["stopped"], "the machine stops")
    again = Depot(hasty, tmp_path).build(cwd=context, DEPOT_PROJECT_ID=project)
    assert (again.code, again.cached) == (0, 2), again.output


def test_a_build_whose_client_never_got_a_machine_fails_as_soon(hasty: Server) -> None:
    project = hasty.new_project()
    build, _ = hasty.new_build(project)

    eventually(lambda: status_of(hasty, build)[0] == "failed", "the build fails")

    assert status_of(hasty, build)[1] == (
        "it held no machine, and no health report came for 6 seconds: the client is gone"
    )
    listed = hasty.call("depot.core.v1.BuildService/ListBuilds", {"projectId": project}).body["builds"]
    assert [one["status"] for one in listed] == ["STATUS_FAILED"]


def test_a_build_whose_result_is_missing_fails_and_says_what_is_known(hasty: Server, tmp_path: Path) -> None:
    project = hasty.new_project()
    builds: dict[str, str] = {}
    for script in ("true", "exit 3"):
        build, token = hasty.new_build(project)
        context = make_context(tmp_path / script, HEADER + run(script))
        done = get_endpoint(hasty, build, token, tmp_path / "endpoint").build(context)
        assert (done.code == 0) == (script == "true"), done.output
        builds[script] = build

    for build in builds.values():
        eventually(lambda build=build: status_of(hasty, build)[0] == "failed", "the build fails")
    errors = {script: status_of(hasty, build)[1] or "" for script, build in builds.items()}
    assert "all that it built until then ended well, but it didn't say that this was all" in errors["true"]
    assert "no health report" in errors["exit 3"]
    assert "ended well" not in errors["exit 3"]


def test_health_reports_keep_a_build_alive(hasty: Server) -> None:
    project = hasty.new_project()
    build, token = hasty.new_build(project)
    request = {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"}
    hasty.call("depot.cli.v1.BuildService/GetBuildKitConnection", request, token=token)
    first = hasty.query("select expires_at from leases where build_id = ?", build)[0][0]

    answer = hasty.call("depot.cli.v1.BuildService/ReportBuildHealth", request, token=token)

    assert answer.body == {}
    assert hasty.query("select expires_at from leases where build_id = ?", build)[0][0] > first


def test_a_client_of_a_build_that_has_ended_is_told_to_let_go(hasty: Server) -> None:
    build = connect(hasty, hasty.new_project())
    token = hasty.token
    hasty.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, "success": {}})
    request = {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"}

    answer = hasty.call("depot.cli.v1.BuildService/ReportBuildHealth", request, token=token)

    assert "cancelsAt" in answer.body


@pytest.mark.parametrize("method", ["ResetProject", "DeleteProject"])
def test_reset_and_delete_destroy_the_cache_and_fail_running_builds(hasty: Server, tmp_path: Path, method: str) -> None:
    project = hasty.new_project()
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert Depot(hasty, tmp_path).build(cwd=context, DEPOT_PROJECT_ID=project).code == 0
    build = connect(hasty, project)
    volume = hasty.query("select id from volumes where project_id = ?", project)[0][0]
    assert (hasty.data / "volumes" / volume).is_dir()

    assert hasty.call(f"{PROJECTS}/{method}", {"projectId": project}).status == 200

    assert status_of(hasty, build)[0] == "failed"
    eventually(lambda: not (hasty.data / "volumes" / volume).exists(), "the volume is destroyed")
    eventually(lambda: machines(hasty, project) == ["stopped"], "the machine stops")
    if method == "ResetProject":
        again = Depot(hasty, tmp_path).build(cwd=context, DEPOT_PROJECT_ID=project)
        assert (again.code, again.cached) == (0, 0), again.output
    else:
        assert hasty.call(f"{PROJECTS}/GetProject", {"projectId": project}).code == "not_found"
        listed = hasty.call("stoker.v1.MachineService/ListMachines").body.get("machines", [])
        assert project not in {machine["projectId"] for machine in listed}
