"""Builds to read: one, and page by page."""

from __future__ import annotations

import pytest

from stoker.domain.people import Role
from tests.harness.people import Registry
from tests.harness.server import Server

CORE = "depot.core.v1.BuildService"
OWN = "stoker.v1.BuildService"


@pytest.fixture(scope="module")
def project(server: Server) -> str:
    return server.new_project("listed")


@pytest.fixture(scope="module")
def builds(server: Server, project: str) -> list[str]:
    """Seven builds, the newest first."""
    return [server.new_build(project)[0] for _ in range(7)][::-1]


@pytest.mark.parametrize("method", [f"{CORE}/ListBuilds", f"{OWN}/ListBuilds", "depot.cli.v1.BuildService/ListBuilds"])
def test_pages_together_are_the_whole_list_newest_first(
    server: Server, project: str, builds: list[str], method: str
) -> None:
    seen: list[str] = []
    token = ""
    for _ in range(4):
        answer = server.call(method, {"projectId": project, "pageSize": 3, "pageToken": token})
        seen += [build.get("buildId") or build["id"] for build in answer.body["builds"]]
        token = answer.body.get("nextPageToken", "")
        if not token:
            break
    assert seen == builds


def test_a_build_that_is_created_meanwhile_does_not_shift_pages(server: Server) -> None:
    project = server.new_project("growing")
    old = [server.new_build(project)[0] for _ in range(4)][::-1]
    first = server.call(f"{CORE}/ListBuilds", {"projectId": project, "pageSize": 2})
    server.new_build(project)
    token = first.body["nextPageToken"]
    second = server.call(f"{CORE}/ListBuilds", {"projectId": project, "pageSize": 2, "pageToken": token})
    assert [build["buildId"] for build in first.body["builds"] + second.body["builds"]] == old


@pytest.mark.parametrize(("field", "value"), [("pageSize", -1), ("pageSize", 501), ("pageToken", "nonsense")])
def test_a_page_that_can_not_be_is_refused(server: Server, project: str, field: str, value: object) -> None:
    for service in (CORE, OWN):
        assert server.call(f"{service}/ListBuilds", {"projectId": project, field: value}).code == "invalid_argument"


def test_a_build_says_how_it_stands(server: Server, project: str) -> None:
    build, _ = server.new_build(project)
    assert server.call(f"{CORE}/GetBuild", {"buildId": build}).body["build"]["status"] == "STATUS_RUNNING"
    request = {"buildId": build, "error": {"error": "no"}}
    server.call("depot.build.v1.BuildService/FinishBuild", request)
    body = server.call(f"{CORE}/GetBuild", {"buildId": build}).body["build"]
    assert body["status"] == "STATUS_FAILED"
    assert body["finishedAt"] > body["createdAt"]
    own = server.call(f"{OWN}/GetBuild", {"buildId": build}).body["build"]
    assert (own["projectId"], own["error"]) == (project, "no")
    assert {name: own.get(name) for name in body} == body, "what both tell they tell alike"


def test_builds_of_one_status(server: Server) -> None:
    project = server.new_project("mixed")
    running, failed = (server.new_build(project)[0] for _ in range(2))
    request = {"buildId": failed, "error": {"error": "no"}}
    server.call("depot.build.v1.BuildService/FinishBuild", request)
    found = {
        status: [
            build["buildId"]
            for build in server.call(f"{OWN}/ListBuilds", {"projectId": project, "status": status}).body.get(
                "builds", []
            )
        ]
        for status in ("STATUS_RUNNING", "STATUS_FAILED", "STATUS_SUCCESS", "STATUS_UNSPECIFIED")
    }
    assert found == {
        "STATUS_RUNNING": [running],
        "STATUS_FAILED": [failed],
        "STATUS_SUCCESS": [],
        "STATUS_UNSPECIFIED": [failed, running],
    }
    refused = server.call(f"{OWN}/ListBuilds", {"projectId": project, "status": "STATUS_ERROR"})
    assert (refused.code, refused.message) == ("invalid_argument", "no build has the status ERROR")


def test_only_people_are_told_which_people_began_builds(server: Server, project: str) -> None:
    ((organization,),) = server.query("select organization_id from projects where id = ?", project)
    ada = Registry(server).person("ada-began", **{f"o{organization}": Role.MEMBER})
    created = server.call("depot.build.v1.BuildService/CreateBuild", {"projectId": project}, token=ada.token)
    build = created.body["buildId"]
    told = server.call(f"{OWN}/GetBuild", {"buildId": build}, token=ada.token).body["build"]["begunBy"]
    assert told == {"kind": "person", "id": ada.id, "name": ada.email}
    wanted = {"projectId": project, "begunBy": "ADA-began"}
    found = server.call(f"{OWN}/ListBuilds", wanted, token=ada.token)
    assert [one["buildId"] for one in found.body["builds"]] == [build]
    assert "begunBy" not in server.call(f"{OWN}/GetBuild", {"buildId": build}).body["build"]
    listed = server.call(f"{OWN}/ListBuilds", {"projectId": project}).body["builds"]
    assert build in [one["buildId"] for one in listed]
    assert not [one for one in listed if "begunBy" in one]
    assert server.call(f"{OWN}/ListBuilds", wanted).code == "permission_denied"
    long = server.call(f"{OWN}/ListBuilds", {"projectId": project, "begunBy": 129 * "x"}, token=ada.token)
    assert (long.code, long.message) == ("invalid_argument", "the search has 129 characters; 128 is the most")


def test_a_token_belongs_to_one_organization(server: Server) -> None:
    listed = server.call("depot.core.v1.OrganizationService/ListOrganizations").body["organizations"]
    assert [organization["orgId"] for organization in listed] == [server.first["DEPOT_ORG_ID"]]
