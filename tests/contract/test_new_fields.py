"""Fields that newer clients send: the engine of a connection, the region of a list, the newest size."""

from __future__ import annotations

import pytest

from stoker.domain.hardware import GIBIBYTE, Hardware
from tests.harness.server import Server

CLI = "depot.cli.v1.BuildService"
PROJECTS = "depot.core.v1.ProjectService"
AMD64 = "BUILDER_PLATFORM_AMD64"


@pytest.mark.parametrize("wanted_engine", [{"buildkit": {}}, {}])
def test_a_connection_to_buildkit_may_be_asked_for_by_name(server: Server, wanted_engine: dict[str, object]) -> None:
    build, token = server.new_build()
    wanted = {"buildId": build, "platform": AMD64, "requiredEngine": wanted_engine}
    answer = server.call(f"{CLI}/GetBuildKitConnection", wanted, token=token)
    assert answer.status == 200, answer
    assert set(answer.body) <= {"pending", "active"}
    server.call(f"{CLI}/FinishBuild", {"buildId": build}, token=token)


def test_dagger_is_refused_wherever_it_is_asked_for(server: Server) -> None:
    dagger = {"requiredEngine": {"dagger": {"version": "v0.18.0"}}}
    build, token = server.new_build()
    wanted = {"buildId": build, "platform": AMD64, **dagger}
    for refused in (
        server.call(f"{CLI}/GetBuildKitConnection", wanted, token=token),
        server.call(f"{CLI}/CreateBuild", {"projectId": server.project, **dagger}),
    ):
        assert (refused.status, refused.code) == (501, "unimplemented")
        assert "BuildKit" in refused.message
        assert "no Dagger engines" in refused.message
    assert server.query("select count(*) from leases where build_id = ?", build) == [(0,)]
    server.call(f"{CLI}/FinishBuild", {"buildId": build}, token=token)


def test_projects_are_listed_by_region(server: Server) -> None:
    created = server.call(f"{PROJECTS}/CreateProject", {"name": "abroad", "regionId": "eu-central-1"})
    abroad = created.body["project"]["projectId"]

    def listed(**wanted: str) -> set[str]:
        answer = server.call(f"{PROJECTS}/ListProjects", wanted)
        assert answer.status == 200, answer
        return {project["projectId"] for project in answer.body["projects"]}

    assert {abroad, server.project} <= listed()
    assert listed(regionId="") == listed()
    assert abroad in listed(regionId="eu-central-1")
    assert server.project not in listed(regionId="eu-central-1")
    assert server.project in listed(regionId="us-east-1")
    refused = server.call(f"{PROJECTS}/ListProjects", {"regionId": "mars"})
    assert (refused.status, refused.code) == (400, "invalid_argument")
    assert "us-east-1" in refused.message


def test_a_project_may_have_machines_of_4x8(server: Server) -> None:
    wanted = {"name": "middling", "regionId": "us-east-1", "hardware": "HARDWARE_4X8"}
    created = server.call(f"{PROJECTS}/CreateProject", wanted).body["project"]
    assert created["hardware"] == "HARDWARE_4X8"
    project = {"projectId": created["projectId"]}
    assert server.call(f"{PROJECTS}/GetProject", project).body["project"]["hardware"] == "HARDWARE_4X8"
    assert (Hardware.SIZE_4X8.size.cpus, Hardware.SIZE_4X8.size.memory_bytes) == (4, 8 * GIBIBYTE)
    for size in ("HARDWARE_8X8", "HARDWARE_4X8"):
        updated = server.call(f"{PROJECTS}/UpdateProject", {**project, "hardware": size})
        assert updated.body["project"]["hardware"] == size
