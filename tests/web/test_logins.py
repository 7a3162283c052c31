"""Logins from the command line, approved in a browser."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stoker.domain.people import Role
from tests.harness.browser import PASSWORD, Browser
from tests.harness.curl import HTTP_1, Curl, Reply
from tests.harness.people import Registry
from tests.harness.server import Server

LOGIN = "depot.cli.v1beta1.LoginService"


@dataclass
class Login:
    """A login that was begun."""

    server: Server
    folder: Path
    id: str
    url: str

    def finish(self) -> Reply:
        return Curl(self.server, HTTP_1, self.folder).stream(f"{LOGIN}/FinishLogin", {"id": self.id}, token="none")

    def finishing(self) -> tuple[threading.Thread, list[Reply]]:
        """Wait for the approval beside the test."""
        replies: list[Reply] = []
        thread = threading.Thread(target=lambda: replies.append(self.finish()))
        thread.start()
        return thread, replies


def begin(server: Server, folder: Path) -> Login:
    started = server.call(f"{LOGIN}/StartLogin", token="", headers={"user-agent": "tool/1.0 <b>"})
    return Login(server, folder, started.body["id"], started.body["approveUrl"])


def test_a_login_waits_for_its_approval_and_gives_its_token_once(owned: Server, ada: Browser, tmp_path: Path) -> None:
    login = begin(owned, tmp_path)
    waiting, replies = login.finishing()
    page = ada.get(login.url)
    assert login.url.rpartition("/")[2] in page.words
    assert "tool/1.0 <b>" in page.words
    assert "Approved" in ada.submit(page, decision="approve").words
    waiting.join(20)
    token = replies[0].messages[0]["token"]
    assert owned.call("depot.core.v1.ProjectService/ListProjects", token=token).body["projects"]
    assert login.finish().stream_error["code"] == "failed_precondition"
    account = owned.call("stoker.v1.AccountService/GetAccount", token=token).body
    assert account["person"]["email"] == "ada@example.com"
    assert account["memberships"][0]["role"] == "ROLE_OWNER"
    assert token.encode() not in owned.stored()


def test_an_approval_may_come_before_the_command_line_waits(owned: Server, ada: Browser, tmp_path: Path) -> None:
    login = begin(owned, tmp_path)
    ada.submit(ada.get(login.url), decision="approve")
    assert login.finish().messages[0]["token"].startswith("stoker_usr_")


def test_whoever_is_not_signed_in_signs_in_first_and_comes_back(owned: Server, tmp_path: Path) -> None:
    login = begin(owned, tmp_path)
    browser = Browser(owned.url)
    asked = browser.get(login.url)
    assert asked.path == "/sign-in"
    back = browser.submit(asked, "/sign-in", email="ada@example.com", password=PASSWORD)
    assert back.path == login.url.removeprefix(owned.url)


def test_a_refused_login_gets_nothing(owned: Server, ada: Browser, tmp_path: Path) -> None:
    login = begin(owned, tmp_path)
    waiting, replies = login.finishing()
    assert "Refused" in ada.submit(ada.get(login.url), decision="refuse").words
    waiting.join(20)
    assert replies[0].stream_error["code"] == "permission_denied"
    page = ada.get(login.url)
    assert ada.post(page.path, csrf=ada.get("/").hidden("csrf"), decision="approve").status == 409


def test_a_form_without_its_token_approves_nothing(owned: Server, ada: Browser, tmp_path: Path) -> None:
    login = begin(owned, tmp_path)
    assert ada.post(login.url, csrf="", decision="approve").status == 403
    assert ada.post(login.url, origin="https://evil.example", decision="approve").status == 403
    assert "Log in a command line?" in ada.get(login.url).words


def test_the_code_of_a_login_is_not_its_id(owned: Server, tmp_path: Path) -> None:
    login = begin(owned, tmp_path)
    assert login.id not in login.url
    code = login.url.rpartition("/")[2]
    assert Login(owned, tmp_path, code, "").finish().stream_error["code"] == "not_found"


def test_a_login_that_nobody_approves_ends_and_is_told_so(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(login_minutes="0.01")
    assert begin(server, tmp_path).finish().stream_error["code"] == "failed_precondition"


def test_logins_that_wait_are_bounded(strict: Server) -> None:
    codes = [strict.call(f"{LOGIN}/StartLogin", token="").code for _ in range(3)]
    assert codes == [None, None, "resource_exhausted"]


def test_whoever_loses_a_role_loses_it_at_the_next_call(owned: Server) -> None:
    organization = owned.first["DEPOT_ORG_ID"]
    registry = Registry(owned)
    boss, worker = (registry.person(name, **{f"o{organization}": Role.OWNER}) for name in ("boss", "worker"))
    change = {"personId": worker.id, "role": "ROLE_VIEWER"}
    service = "stoker.v1.OrganizationService"
    assert owned.call(f"{service}/ListTokens", token=worker.token).status == 200
    assert owned.call(f"{service}/ChangeMemberRole", change, token=boss.token).status == 200
    assert owned.call(f"{service}/ListTokens", token=worker.token).code == "permission_denied"
    assert owned.call(f"{service}/RemoveMember", {"personId": worker.id}, token=boss.token).status == 200
    assert owned.call(f"{service}/ListMembers", token=worker.token).code == "permission_denied"
    assert owned.call("depot.core.v1.OrganizationService/ListOrganizations", token=worker.token).body == {}


def test_somebody_in_two_organizations_chooses_with_a_header(owned: Server) -> None:
    registry = Registry(owned)
    first, second = owned.first["DEPOT_ORG_ID"], registry.organization("second")
    person = registry.person("both", **{f"o{first}": Role.OWNER, f"o{second}": Role.VIEWER})
    projects = "depot.core.v1.ProjectService"

    def create(**headers: str) -> str | None:
        wanted = {"name": "x", "regionId": "us-east-1"}
        return owned.call(f"{projects}/CreateProject", wanted, token=person.token, headers=headers).code

    assert create(**{"x-depot-org": first}) is None
    assert create(**{"x-depot-org": second}) == "permission_denied"
    third = registry.organization("third")
    answers = [
        owned.call(f"{projects}/ListProjects", token=person.token, headers={"x-depot-org": other})
        for other in (third, "0" * 16)
    ]
    assert {answer.code for answer in answers} == {"not_found"}
    assert answers[0].message.replace(third, "") == answers[1].message.replace("0" * 16, "")
    listed = owned.call(
        "depot.core.v1.OrganizationService/ListOrganizations", token=person.token, headers={"x-depot-org": third}
    )
    assert [one["orgId"] for one in listed.body["organizations"]] == [first, second], "to find a way out of the third"


def test_the_last_owner_stays(owned: Server) -> None:
    registry = Registry(owned)
    organization = registry.organization("lonely")
    owner = registry.person("lonely", **{f"o{organization}": Role.OWNER})
    service = "stoker.v1.OrganizationService"
    change = {"personId": owner.id, "role": "ROLE_MEMBER"}
    assert owned.call(f"{service}/ChangeMemberRole", change, token=owner.token).code == "failed_precondition"
    assert (
        owned.call(f"{service}/RemoveMember", {"personId": owner.id}, token=owner.token).code == "failed_precondition"
    )


def test_only_operators_create_organizations(owned: Server) -> None:
    registry = Registry(owned)
    service = "stoker.v1.OrganizationService"
    member = registry.person("plain", **{f"o{owned.first['DEPOT_ORG_ID']}": Role.OWNER})
    assert owned.call(f"{service}/CreateOrganization", {"name": "x"}, token=member.token).code == "permission_denied"
    operator = registry.person("operator", is_operator=True)
    made = owned.call(f"{service}/CreateOrganization", {"name": "customers"}, token=operator.token)
    listed = owned.call(f"{service}/ListMembers", made.body["organization"], token=operator.token)
    assert [(one["person"]["name"], one["role"]) for one in listed.body["members"]] == [("operator", "ROLE_OWNER")]


def test_an_organizations_token_has_an_end_when_one_is_given(owned: Server) -> None:
    owner = Registry(owned).person("tokens", **{f"o{owned.first['DEPOT_ORG_ID']}": Role.OWNER})
    service = "stoker.v1.OrganizationService"
    wrong = {"description": "CI", "expiresAt": "2001-01-01T00:00:00Z"}
    assert owned.call(f"{service}/CreateToken", wrong, token=owner.token).code == "invalid_argument"
    wanted = {"description": "CI", "expiresAt": "2031-01-01T00:00:00Z"}
    made = owned.call(f"{service}/CreateToken", wanted, token=owner.token).body
    assert owned.call("depot.core.v1.ProjectService/ListProjects", token=made["secret"]).status == 200
    listed = owned.call(f"{service}/ListTokens", token=owner.token).body["tokens"]
    mine = next(token for token in listed if token["tokenId"] == made["tokenId"])
    assert (mine["description"], mine["expiresAt"]) == ("CI", "2031-01-01T00:00:00Z")
    assert owned.call(f"{service}/RevokeToken", {"tokenId": made["tokenId"]}, token=owner.token).status == 200
    refused = owned.call("depot.core.v1.ProjectService/ListProjects", token=made["secret"])
    assert refused.code == "unauthenticated"
