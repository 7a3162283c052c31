"""The audit log: every change is in it with who made it, nothing that was refused is, and no secret ever."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stoker.auth.access import METHODS
from stoker.domain.audit import Action
from stoker.domain.people import Role
from stoker.domain.principals import CredentialKind
from tests.harness.browser import Browser
from tests.harness.command import Command
from tests.harness.people import Account, Registry, blank_token
from tests.harness.server import Server
from tests.web.test_people import OWNER, PASSWORD, join, owner_code, sign_in

LIST = "stoker.v1.AuditService/ListEvents"
PROJECTS, ORGANIZATIONS = "depot.core.v1.ProjectService", "stoker.v1.OrganizationService"
BUILDS, TRUST = "depot.core.v1.BuildService", "stoker.v1.TrustService"
OWN_BUILDS = "stoker.v1.BuildService"
WEBHOOKS = "stoker.v1.WebhookService"
LOG_OUT = "stoker.v1.AccountService/LogOut"
RECORDED = {
    f"{PROJECTS}/AddTrustPolicy": Action.POLICY_ADD,
    f"{PROJECTS}/CreateProject": Action.PROJECT_CREATE,
    f"{PROJECTS}/CreateToken": Action.TOKEN_CREATE,
    f"{PROJECTS}/DeleteProject": Action.PROJECT_DELETE,
    f"{PROJECTS}/DeleteToken": Action.TOKEN_REVOKE,
    f"{PROJECTS}/RemoveTrustPolicy": Action.POLICY_REMOVE,
    f"{PROJECTS}/ResetProject": Action.PROJECT_RESET_CACHE,
    f"{PROJECTS}/UpdateProject": Action.PROJECT_UPDATE,
    f"{PROJECTS}/UpdateToken": Action.TOKEN_DESCRIBE,
    "depot.cli.v1beta1.ProjectsService/ResetProjectCache": Action.PROJECT_RESET_CACHE,
    f"{TRUST}/AddPolicy": Action.POLICY_ADD,
    f"{TRUST}/CreateProjectToken": Action.TOKEN_CREATE,
    f"{OWN_BUILDS}/CancelBuild": Action.BUILD_CANCEL,
    f"{BUILDS}/ShareBuild": Action.BUILD_SHARE,
    f"{BUILDS}/StopSharingBuild": Action.BUILD_STOP_SHARING,
    f"{ORGANIZATIONS}/ChangeMemberRole": Action.MEMBER_CHANGE_ROLE,
    f"{ORGANIZATIONS}/CreateInvitation": Action.INVITATION_CREATE,
    f"{ORGANIZATIONS}/CreateOrganization": Action.ORGANIZATION_CREATE,
    f"{ORGANIZATIONS}/CreateToken": Action.TOKEN_CREATE,
    f"{ORGANIZATIONS}/RemoveMember": Action.MEMBER_REMOVE,
    f"{ORGANIZATIONS}/RenameOrganization": Action.ORGANIZATION_RENAME,
    f"{ORGANIZATIONS}/RevokeInvitation": Action.INVITATION_REVOKE,
    f"{ORGANIZATIONS}/RevokeToken": Action.TOKEN_REVOKE,
    f"{WEBHOOKS}/CreateWebhook": Action.WEBHOOK_CREATE,
    f"{WEBHOOKS}/DeleteWebhook": Action.WEBHOOK_DELETE,
    LOG_OUT: Action.TOKEN_REVOKE,
}
# What builds do is in the record of builds; a login counts when it is approved, which is done on a page.
UNRECORDED = {
    "CreateBuild",
    "FinishBuild",
    "FinishLogin",
    "FinishPush",
    "ReleaseEndpoint",
    "ReportBuildContext",
    "ReportBuildHealth",
    "ReportHealth",
    "ReportStatus",
    "ReportStatusStream",
    "ReportTimings",
    "StartLogin",
    "StartPush",
    "TestWebhook",
    "DeleteImage",
}


@dataclass
class Audited:
    """An organization of a test's own, with an owner."""

    server: Server
    registry: Registry
    organization: str
    owner: Account

    def call(self, method: str, request: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        answer = self.server.call(method, request, **{"token": self.owner.token, **more})
        assert answer.status == 200, (method, answer)
        return answer.body

    def events(self, **wanted: Any) -> list[dict[str, Any]]:
        return self.call(LIST, {"organizationId": self.organization, "pageSize": 500, **wanted}).get("events", [])

    def actions(self, **wanted: Any) -> list[str]:
        return [event["action"] for event in self.events(**wanted)]


@pytest.fixture
def audited(server: Server) -> Audited:
    registry = Registry(server)
    organization = registry.organization("audited")
    owner = registry.person(f"owner-{secrets.token_hex(4)}", is_operator=True, **{f"o{organization}": Role.OWNER})
    return Audited(server, registry, organization, owner)


def change_everything(audited: Audited) -> tuple[set[str], list[str]]:
    """Call every method that is recorded; the methods, and the secrets that were made."""
    called: set[str] = set()
    made: list[str] = []

    def call(method: str, request: dict[str, Any]) -> dict[str, Any]:
        called.add(method)
        answer = audited.call(method, request)
        made.extend(str(answer[name]) for name in ("secret", "url", "publicUrl", "shareUrl") if name in answer)
        return answer

    own = {"organizationId": audited.organization}
    created = call(f"{PROJECTS}/CreateProject", {"name": "shop", "regionId": "us-east-1", **own})
    project = {"projectId": created["project"]["projectId"]}
    call(f"{PROJECTS}/UpdateProject", {**project, "name": "store", "hardware": "HARDWARE_4X4"})
    token = call(f"{PROJECTS}/CreateToken", {**project, "description": "CI"})
    call(f"{PROJECTS}/UpdateToken", {"tokenId": token["tokenId"], "description": "CI of the shop"})
    call(f"{PROJECTS}/DeleteToken", {"tokenId": token["tokenId"]})
    call(f"{TRUST}/CreateProjectToken", {**project, "description": "forks", "untrusted": True})
    call(f"{TRUST}/AddPolicy", {**project, "provider": "github", "owner": "a", "source": "forks", "untrusted": True})
    policy = call(f"{PROJECTS}/AddTrustPolicy", {**project, "github": {"repositoryOwner": "a", "repository": "b"}})
    call(f"{PROJECTS}/RemoveTrustPolicy", {**project, "trustPolicyId": policy["trustPolicy"]["trustPolicyId"]})
    build = {"buildId": audited.call("depot.build.v1.BuildService/CreateBuild", project)["buildId"]}
    call(f"{BUILDS}/ShareBuild", build)
    call(f"{BUILDS}/StopSharingBuild", build)
    call(f"{OWN_BUILDS}/CancelBuild", build)
    call(f"{PROJECTS}/ResetProject", project)
    call("depot.cli.v1beta1.ProjectsService/ResetProjectCache", project)
    webhook = call(f"{WEBHOOKS}/CreateWebhook", {**project, "url": "https://ci.example.com:444/?key=hidden-in-the-url"})
    made.append("hidden-in-the-url")
    call(f"{WEBHOOKS}/DeleteWebhook", {"webhookId": webhook["webhook"]["webhookId"]})
    call(f"{PROJECTS}/DeleteProject", project)
    member = audited.registry.person(f"m-{secrets.token_hex(4)}", **{f"o{audited.organization}": Role.VIEWER})
    call(f"{ORGANIZATIONS}/ChangeMemberRole", {**own, "personId": member.id, "role": "ROLE_MEMBER"})
    call(f"{ORGANIZATIONS}/RemoveMember", {**own, "personId": member.id})
    invited = call(f"{ORGANIZATIONS}/CreateInvitation", {**own, "email": "new@example.com", "role": "ROLE_VIEWER"})
    call(f"{ORGANIZATIONS}/RevokeInvitation", {**own, "invitationId": invited["invitation"]["invitationId"]})
    token = call(f"{ORGANIZATIONS}/CreateToken", {**own, "description": "robots"})
    call(f"{ORGANIZATIONS}/RevokeToken", {**own, "tokenId": token["tokenId"]})
    call(f"{ORGANIZATIONS}/RenameOrganization", {**own, "name": "renamed"})
    called.add(LOG_OUT)
    laptop = audited.registry.token(blank_token(CredentialKind.USER, person_id=audited.owner.id))
    audited.call(LOG_OUT, token=laptop)
    call(f"{ORGANIZATIONS}/CreateOrganization", {"name": "second"})
    return called, made


def test_every_method_that_changes_something_is_recorded_or_known_not_to_be() -> None:
    changing = {
        method
        for method in METHODS
        # Of the image registry's methods none is built yet.
        if not method.startswith(("grpc.", "depot.registry."))
        and not method.rpartition("/")[2].startswith(("Get", "List", "Show"))
    }
    assert {method for method in changing if method.rpartition("/")[2] not in UNRECORDED} == set(RECORDED)


def test_every_change_is_recorded_with_who_made_it_and_no_secret(audited: Audited) -> None:
    called, made = change_everything(audited)
    assert called == set(RECORDED)
    assert len(made) >= 3

    events = audited.events()

    expected = sorted(action.value for method, action in RECORDED.items() if "CreateOrganization" not in method)
    assert sorted(event["action"] for event in events) == expected
    assert {event["actor"]["kind"] for event in events} == {"person"}
    assert {(event["actor"]["id"], event["actor"]["name"]) for event in events} == {
        (audited.owner.id, audited.owner.email)
    }
    assert {event["address"] for event in events} == {"127.0.0.1"}
    assert len({event["requestId"] for event in events}) == len(events)
    told = {event["action"]: (event["target"].get("name", ""), event.get("detail", "")) for event in events}
    assert told["project.update"] == ("store", "name shop → store, hardware 16x32 → 4x4")
    assert told["webhook.create"] == ("ci.example.com:444", "of project store")
    assert told["policy.add"] == ("github a/forks", "in project store, untrusted")
    assert told["member.change-role"][1] == "viewer → member"
    assert told["invitation.create"] == ("new@example.com", "as viewer")
    assert told["organization.rename"] == ("audited", "→ renamed")
    second = audited.server.query("select id from organizations where name = 'second' order by id desc limit 1")[0][0]
    assert [event["action"] for event in audited.call(LIST, {"organizationId": second})["events"]] == [
        "organization.create"
    ]
    rows = str(audited.server.query("select * from audit_events"))
    for secret in made:
        assert secret not in rows
        assert secret.rpartition("#")[2].rpartition("/")[2] not in rows


def test_a_token_is_named_by_its_description(audited: Audited) -> None:
    own = {"organizationId": audited.organization}
    robots = audited.call(f"{ORGANIZATIONS}/CreateToken", {**own, "description": "robots"})
    wanted = {"name": "made", "regionId": "us-east-1"}
    assert audited.server.call(f"{PROJECTS}/CreateProject", wanted, token=robots["secret"]).status == 200

    (event,) = audited.events(action="project.create")

    assert event["actor"] == {"kind": "organization token", "id": robots["tokenId"], "name": "robots"}


def test_what_is_refused_or_changes_nothing_is_not_recorded(audited: Audited) -> None:
    own = {"organizationId": audited.organization}
    last_owner = {**own, "personId": audited.owner.id, "role": "ROLE_VIEWER"}
    answer = audited.server.call(f"{ORGANIZATIONS}/ChangeMemberRole", last_owner, token=audited.owner.token)
    assert answer.code == "failed_precondition"
    project = audited.call(f"{PROJECTS}/CreateProject", {"name": "same", "regionId": "us-east-1"})["project"]
    audited.call(f"{PROJECTS}/UpdateProject", {"projectId": project["projectId"], "name": "same"})
    build = audited.call("depot.build.v1.BuildService/CreateBuild", {"projectId": project["projectId"]})
    audited.call(f"{BUILDS}/StopSharingBuild", {"buildId": build["buildId"]})
    assert audited.actions() == ["project.create"]


def test_events_are_found_by_time_actor_and_action_and_come_in_pages(audited: Audited) -> None:
    own = {"organizationId": audited.organization}
    began = datetime.now(UTC).isoformat()
    for number in range(5):
        audited.call(f"{ORGANIZATIONS}/CreateToken", {**own, "description": f"number {number}"})
    audited.call(f"{ORGANIZATIONS}/RenameOrganization", {**own, "name": "later"})
    ended = datetime.now(UTC).isoformat()

    assert audited.actions(since=began, until=ended) == ["organization.rename", *["token.create"] * 5]
    assert audited.actions(until=began) == []
    assert audited.actions(since=ended) == []
    assert audited.actions(action="organization") == ["organization.rename"]
    assert len(audited.actions(action="token.create", actor=audited.owner.email)) == 5
    assert len(audited.actions(actor=audited.owner.id)) == 6
    assert audited.actions(actor="somebody") == []
    first = audited.call(LIST, {**own, "pageSize": 4})
    rest = audited.call(LIST, {**own, "pageSize": 4, "pageToken": first["nextPageToken"]})
    assert [len(first["events"]), len(rest["events"])] == [4, 2]
    assert "nextPageToken" not in rest
    unknown = audited.server.call(LIST, {**own, "action": "project.burn"}, token=audited.owner.token)
    assert (unknown.code, "project.create" in unknown.message) == ("invalid_argument", True)


def test_the_caller_s_request_id_is_kept_when_it_is_well_formed(audited: Audited) -> None:
    own = {"organizationId": audited.organization}
    for given in ("from-the-caller.1", "not well formed", "x" * 65):
        audited.call(f"{ORGANIZATIONS}/CreateToken", own, headers={"x-request-id": given})
    ids = [event["requestId"] for event in audited.events()]
    assert ids[2] == "from-the-caller.1"
    assert all(len(one) == 16 for one in ids[:2])


@pytest.fixture(scope="module")
def peopled(make_server: Callable[..., Server]) -> Server:
    server = make_server()
    join(Browser(server.url), owner_code(server), email=OWNER, name="Ada", password=PASSWORD)
    return server


def test_sign_ins_that_worked_and_that_failed_are_recorded(peopled: Server) -> None:
    registry = Registry(peopled)
    organization = peopled.first["DEPOT_ORG_ID"]
    operator = registry.person("operator", is_operator=True, **{f"o{organization}": Role.OWNER})

    def events(**wanted: object) -> list[dict[str, Any]]:
        return peopled.call(LIST, wanted, token=operator.token).body.get("events", [])

    assert sign_in(Browser(peopled.url)).path == "/"
    assert sign_in(Browser(peopled.url), password="something else entirely").status == 401
    assert sign_in(Browser(peopled.url), email="stranger@example.com").status == 401
    typed_in_the_wrong_field = "correct horse battery staple"
    assert sign_in(Browser(peopled.url), email=typed_in_the_wrong_field).status == 401

    failed, worked = events(action="sign-in")
    assert (worked["action"], worked["actor"]["name"]) == ("sign-in.success", OWNER)
    assert (failed["action"], failed["actor"]["kind"]) == ("sign-in.failure", "nobody")
    assert (failed["target"]["name"], failed["address"]) == (OWNER, "127.0.0.1")
    of_server = events(action="sign-in", ofServer=True)
    assert [event["target"].get("name", "") for event in of_server] == ["", "stranger@example.com"]
    rows = str(peopled.query("select * from audit_events"))
    for secret in (typed_in_the_wrong_field, PASSWORD, "something else entirely"):
        assert secret not in rows
    owner = registry.person("plain", **{f"o{organization}": Role.OWNER})
    assert peopled.call(LIST, {"ofServer": True}, token=owner.token).code == "permission_denied"
    joined = events(action="member.join")
    assert [(event["target"]["name"], event["detail"]) for event in joined] == [(OWNER, "as owner, invited")]


def test_a_login_that_was_approved_is_recorded(peopled: Server) -> None:
    browser = Browser(peopled.url)
    sign_in(browser)
    started = peopled.call("depot.cli.v1beta1.LoginService/StartLogin", {}, token="")
    assert started.status == 200, started
    code = peopled.query("select code from logins")[0][0]
    browser.submit(browser.get(f"/logins/{code}"), decision="approve")
    (row,) = peopled.query("select actor_name, target_id from audit_events where action = 'login.approve'")
    assert row == (OWNER, code)


def test_owners_read_it_on_a_page_and_others_do_not(peopled: Server) -> None:
    registry = Registry(peopled)
    owner = registry.person("pages", **{f"o{peopled.first['DEPOT_ORG_ID']}": Role.OWNER})
    named = {"name": "<b>bold</b>"}
    assert peopled.call(f"{ORGANIZATIONS}/RenameOrganization", named, token=owner.token).status == 200
    browser = Browser(peopled.url)
    assert browser.get("/audit").path == "/sign-in"
    sign_in(browser)

    page = browser.get("/audit?action=organization")

    assert page.status == 200
    assert "organization.rename" in page.words
    assert "sign-in.success" not in page.words
    assert "sign-in.success" in browser.get(f"/audit?actor={OWNER}").words
    assert "sign-in.success" not in browser.get("/audit?actor=somebody").words
    assert "<b>bold" not in page.text
    other = Browser(peopled.url)
    viewer = peopled.call(
        f"{ORGANIZATIONS}/CreateInvitation", {"email": "v@example.com", "role": "ROLE_VIEWER"}, token=owner.token
    )
    join(other, viewer.body["url"].partition("#")[2], name="V", password=PASSWORD)
    assert other.get("/audit").status == 403


def test_the_command_lists_it(audited: Audited, tmp_path: Path) -> None:
    stoker = Command(tmp_path, {"DEPOT_API_URL": audited.server.url, "DEPOT_TOKEN": audited.owner.token})
    audited.call(f"{ORGANIZATIONS}/CreateToken", {"description": "robots"})
    audited.call(f"{ORGANIZATIONS}/RenameOrganization", {"name": "told"})

    said = stoker.apart("audit")
    assert said.code == 0, said.stderr
    assert [line.split()[2:4] for line in said.lines[1:]] == [
        [audited.owner.email, "organization.rename"],
        [audited.owner.email, "token.create"],
    ]
    as_json = stoker.apart("audit", "--json", "--action", "token", "--since", "2026-01-01", "--limit", "1").json
    assert [event["target"]["name"] for event in as_json["events"]] == ["robots"]
    wrong = stoker.apart("audit", "--action", "nonsense")
    assert (wrong.code, "there is no action" in wrong.stderr) == (1, True)
