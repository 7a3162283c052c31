"""Builds to read: one, and page by page."""

from __future__ import annotations

import pytest

from tests.harness.server import Server

CORE = "depot.core.v1.BuildService"


@pytest.fixture(scope="module")
def project(server: Server) -> str:
    return server.new_project("listed")


@pytest.fixture(scope="module")
def builds(server: Server, project: str) -> list[str]:
    """Seven builds, the newest first."""
    return [server.new_build(project)[0] for _ in range(7)][::-1]


@pytest.mark.parametrize("method", [f"{CORE}/ListBuilds", "depot.cli.v1.BuildService/ListBuilds"])
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
    assert server.call(f"{CORE}/ListBuilds", {"projectId": project, field: value}).code == "invalid_argument"


def test_a_build_says_how_it_stands(server: Server, project: str) -> None:
    build, _ = server.new_build(project)
    assert server.call(f"{CORE}/GetBuild", {"buildId": build}).body["build"]["status"] == "STATUS_RUNNING"
    request = {"buildId": build, "error": {"error": "no"}}
    server.call("depot.build.v1.BuildService/FinishBuild", request)
    body = server.call(f"{CORE}/GetBuild", {"buildId": build}).body["build"]
    assert body["status"] == "STATUS_FAILED"
    assert body["finishedAt"] > body["createdAt"]


def test_a_token_belongs_to_one_organization(server: Server) -> None:
    listed = server.call("depot.core.v1.OrganizationService/ListOrganizations").body["organizations"]
    assert [organization["orgId"] for organization in listed] == [server.first["DEPOT_ORG_ID"]]
