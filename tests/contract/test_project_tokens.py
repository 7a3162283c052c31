"""Project tokens: made once, working for their project only, until they are revoked."""

from __future__ import annotations

import pytest

from tests.harness.server import Server

PROJECTS = "depot.core.v1.ProjectService"


@pytest.fixture(scope="module")
def project(server: Server) -> str:
    return server.new_project("with tokens")


def create(server: Server, project: str, description: str = "CI") -> tuple[str, str]:
    created = server.call(f"{PROJECTS}/CreateToken", {"projectId": project, "description": description})
    return created.body["tokenId"], created.body["secret"]


def listed(server: Server, project: str) -> dict[str, str]:
    answer = server.call(f"{PROJECTS}/ListTokens", {"projectId": project})
    return {token["tokenId"]: token.get("description", "") for token in answer.body.get("tokens", [])}


def test_a_project_token_works_for_its_project_only(server: Server, project: str) -> None:
    _, secret = create(server, project)
    other = server.new_project("other")

    assert server.call(f"{PROJECTS}/GetProject", {"projectId": project}, token=secret).status == 200
    assert server.call("depot.build.v1.BuildService/CreateBuild", {"projectId": project}, token=secret).status == 200
    assert server.call("depot.build.v1.BuildService/CreateBuild", {}, token=secret).status == 200, "its own by default"
    assert server.call(f"{PROJECTS}/GetProject", {"projectId": other}, token=secret).code == "not_found"
    assert server.call(f"{PROJECTS}/DeleteProject", {"projectId": project}, token=secret).code == "permission_denied"
    mine = server.call(f"{PROJECTS}/ListProjects", token=secret).body["projects"]
    assert [item["projectId"] for item in mine] == [project]


def test_tokens_are_listed_without_their_secrets(server: Server, project: str) -> None:
    token_id, secret = create(server, project, "for the list")
    answer = server.call(f"{PROJECTS}/ListTokens", {"projectId": project})
    assert listed(server, project)[token_id] == "for the list"
    assert secret not in str(answer.body)


def test_a_description_can_be_changed(server: Server, project: str) -> None:
    token_id, _ = create(server, project)
    server.call(f"{PROJECTS}/UpdateToken", {"tokenId": token_id, "description": "renamed"})
    assert listed(server, project)[token_id] == "renamed"


def test_a_deleted_token_opens_nothing(server: Server, project: str) -> None:
    token_id, secret = create(server, project)
    assert server.call(f"{PROJECTS}/DeleteToken", {"tokenId": token_id}).status == 200
    answer = server.call(f"{PROJECTS}/GetProject", {"projectId": project}, token=secret)
    assert (answer.code, "revoked" in answer.message) == ("unauthenticated", True)
    assert token_id not in listed(server, project)
    assert server.call(f"{PROJECTS}/DeleteToken", {"tokenId": token_id}).code == "not_found"


def test_a_token_of_a_deleted_project_opens_nothing(server: Server) -> None:
    doomed = server.new_project("doomed")
    _, secret = create(server, doomed)
    server.call(f"{PROJECTS}/DeleteProject", {"projectId": doomed})
    assert server.call(f"{PROJECTS}/ListProjects", token=secret).code == "unauthenticated"


@pytest.mark.parametrize("token_id", ["", "nonsense"])
def test_what_is_no_token_id_is_refused(server: Server, token_id: str) -> None:
    assert server.call(f"{PROJECTS}/DeleteToken", {"tokenId": token_id}).code == "invalid_argument"


def test_an_organizations_own_tokens_are_not_a_projects(server: Server) -> None:
    own = server.query("select id from tokens where kind = 'organization'")[0][0]
    assert server.call(f"{PROJECTS}/DeleteToken", {"tokenId": own}).code == "not_found"
