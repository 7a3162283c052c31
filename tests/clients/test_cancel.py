"""Builds that somebody cancels while their real clients run a step: how each client, and the record, say who it was."""

from __future__ import annotations

import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from stoker.domain.people import Role
from tests.clients.test_depot_cli import processes_with
from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot, depot_environment
from tests.harness.go_tools import go_examples
from tests.harness.people import Registry
from tests.harness.server import Server
from tests.harness.waiting import eventually

CANCEL = "stoker.v1.BuildService/CancelBuild"


@dataclass
class Member:
    """A member of the organization, and their command."""

    name: str
    email: str
    stoker: Command


@pytest.fixture
def project(server: Server) -> str:
    return server.new_project("canceled")


@pytest.fixture
def member(server: Server, tmp_path: Path) -> Member:
    name = f"Mem {secrets.token_hex(4)}"
    account = Registry(server).person(name, **{f"o{server.first['DEPOT_ORG_ID']}": Role.MEMBER})
    stoker = Command(tmp_path, {"DEPOT_API_URL": server.url, "DEPOT_TOKEN": account.token})
    return Member(name, account.email, stoker)


def slow_context(folder: Path, project: str) -> Path:
    """A context whose build runs a step for long."""
    return make_context(folder / "context", HEADER + run(f"echo step of {project} begun; sleep 300; echo over"))


def only_build(server: Server, project: str) -> str:
    ((build, status, _),) = server.builds(project)
    assert status == "running"
    return build


def assert_canceled(server: Server, project: str, build: str, member: Member) -> None:
    assert server.builds(project) == [(build, "canceled", f"canceled by {member.name}")]
    live = "select count(*) from leases where build_id = ? and ended_at is null"
    assert server.query(live, build) == [(0,)]
    eventually(lambda: not processes_with(f"step of {project}"), "the step has ended")


def test_the_depot_cli_is_told_at_once_who_canceled_its_build(
    server: Server, depot: Depot, member: Member, project: str, tmp_path: Path
) -> None:
    building = depot.begin(cwd=slow_context(tmp_path, project), until=" begun", DEPOT_PROJECT_ID=project)
    build = only_build(server, project)
    (machine,) = server.machines(project)

    canceled = member.stoker.apart("builds", "cancel", build)

    output, _ = building.communicate(timeout=20)
    assert (canceled.code, canceled.stdout) == (0, ""), canceled.stderr
    assert canceled.stderr == f"build {build} is canceled\n"
    assert building.returncode not in {0, None}
    assert f"canceled by {member.name}" in output
    assert_canceled(server, project, build, member)
    event = "select actor_name, target_id from audit_events where action = 'build.cancel' and target_id = ?"
    assert server.query(event, build) == [(member.email, build)]
    quick = make_context(tmp_path / "quick", HEADER + run("echo the next one"))
    following = depot.build(cwd=quick, DEPOT_PROJECT_ID=project)
    assert following.code == 0, following.output
    assert [one.process_id for one in server.machines(project)] == [machine.process_id], "the machine goes on"


def test_another_build_on_the_machine_goes_on(
    server: Server, depot: Depot, member: Member, project: str, tmp_path: Path
) -> None:
    other = make_context(tmp_path / "other", HEADER + run("echo other begun; sleep 6; echo other over"))
    going_on = depot.begin(cwd=other, until="other begun", DEPOT_PROJECT_ID=project)
    building = depot.begin(cwd=slow_context(tmp_path, project), until=" begun", DEPOT_PROJECT_ID=project)
    build = server.builds(project)[-1][0]

    assert member.stoker.apart("builds", "cancel", build).code == 0

    output, _ = building.communicate(timeout=20)
    assert f"canceled by {member.name}" in output
    output, _ = going_on.communicate(timeout=60)
    assert going_on.returncode == 0, output
    assert [status for _, status, _ in server.builds(project)] == ["succeeded", "canceled"]


def test_stoker_build_says_who_canceled_it(server: Server, member: Member, project: str, tmp_path: Path) -> None:
    engine = {"STOKER_CACHE": str(server.cache), "STOKER_ENGINE_FOLDER": str(server.engine.buildctl.parent)}
    stoker = Command(tmp_path, {**server.first, "DEPOT_PROJECT_ID": project, **engine})
    building = stoker.popen("build", str(slow_context(tmp_path, project)), "--progress", "plain")
    assert building.stdout is not None
    assert any(line.endswith(" begun\n") for line in building.stdout)
    build = only_build(server, project)

    assert member.stoker.apart("builds", "cancel", build).code == 0

    output, _ = building.communicate(timeout=20)
    assert building.returncode == 1, output
    assert f"canceled by {member.name}" in output
    assert "Traceback" not in output
    assert_canceled(server, project, build, member)


@pytest.mark.timeout(900)  # the first run builds the programs
def test_a_go_program_is_told_who_canceled_its_build(
    server: Server, member: Member, project: str, tmp_path: Path
) -> None:
    context = slow_context(tmp_path, project)
    building = subprocess.Popen(
        [str(go_examples(server.cache) / "buildkit-client"), project, str(context), str(tmp_path / "out")],
        env=depot_environment(server, tmp_path, project),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert building.stdout is not None
    assert any(line.rstrip().endswith(" begun") for line in building.stdout)
    build = only_build(server, project)

    assert member.stoker.apart("builds", "cancel", build).code == 0

    output, _ = building.communicate(timeout=60)
    assert building.returncode == 1, output
    assert f"canceled by {member.name}" in output
    assert_canceled(server, project, build, member)


def test_a_build_that_waits_for_its_machine_is_told_too(server: Server, member: Member, project: str) -> None:
    build, token = server.new_build(project)
    assert member.stoker.apart("builds", "cancel", build).code == 0

    wanted = {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"}
    refused = server.call("depot.cli.v1.BuildService/GetBuildKitConnection", wanted, token=token)

    assert refused.code == "failed_precondition"
    assert refused.message == f"build {build} was canceled by {member.name}; create a new build to go on"


def test_a_build_is_canceled_once_and_only_while_it_runs(server: Server, member: Member, project: str) -> None:
    build, _ = server.new_build(project)
    assert server.call(CANCEL, {"buildId": build}).status == 200
    error = server.builds(project)[-1][2]
    assert error is not None
    assert error.startswith("canceled by the organization token ")

    again = member.stoker.apart("builds", "cancel", build)

    assert (again.code, again.stdout) == (1, "")
    assert f"build {build} was {error}" in again.stderr
    done, _ = server.new_build(project)
    finish = {"buildId": done, "success": {}}
    assert server.call("depot.build.v1.BuildService/FinishBuild", finish).status == 200
    refused = server.call(CANCEL, {"buildId": done})
    assert (refused.code, "it succeeded" in refused.message) == ("failed_precondition", True)
