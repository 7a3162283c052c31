"""Every method with every kind of credential: the one right answer of each, from the one table of who may call what."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from stoker.auth.access import METHODS, Open, Rule
from stoker.auth.tokens import new_token
from stoker.domain.people import Role
from stoker.domain.principals import CredentialKind
from tests.contract.test_wire import WIRE
from tests.harness.issuer import Issuer, IssuerHost
from tests.harness.people import CLOCK, RANDOMNESS, Account, Registry, blank_token
from tests.harness.server import Server

PUBLIC_METHODS = sorted(method for method in METHODS if not method.startswith("grpc."))
STREAMING = {
    f"{service}/{name}"
    for service, methods in WIRE["services"].items()
    for name, method in methods.items()
    if method["kind"] != "unary"
}
UNAUTHENTICATED = ("none", "malformed", "damaged", "unknown", "expired", "revoked", "user expired", "OIDC expired")
RIGHTFUL = {
    "organization": CredentialKind.ORGANIZATION,
    "project": CredentialKind.PROJECT,
    "build": CredentialKind.BUILD,
    "viewer": CredentialKind.USER,
    "member": CredentialKind.USER,
    "owner": CredentialKind.USER,
    "OIDC matched": CredentialKind.OIDC,
}
FOREIGN = {
    "other organization": CredentialKind.ORGANIZATION,
    "other organization's owner": CredentialKind.USER,
    "other project": CredentialKind.PROJECT,
    "other build": CredentialKind.BUILD,
    "other project's build": CredentialKind.BUILD,
    "OIDC matched elsewhere": CredentialKind.OIDC,
}
CREDENTIALS = (*UNAUTHENTICATED, *RIGHTFUL, *FOREIGN, "nobody's person", "OIDC unmatched")
UNTRUSTED = (CredentialKind.ORGANIZATION, CredentialKind.PROJECT, CredentialKind.BUILD)
UNKNOWN_ID = "0" * 16
NOWHERE = "http://127.0.0.1:9/"  # nobody is there, which a test finds out at once

_PROJECT = {"projectId": "{project}"}
_BUILD = {"buildId": "{build}"}
_ENDPOINT = {"buildId": "{build}", "platform": "PLATFORM_AMD64"}
_CLI_ENDPOINT = {"buildId": "{build}", "platform": "BUILDER_PLATFORM_AMD64"}
_ORGANIZATION = {"organizationId": "{organization}"}
_MEMBER = _ORGANIZATION | {"personId": "{person}"}
# The request of each method that names something of ours. All others ask for what the caller has.
REQUESTS: dict[str, dict[str, object]] = {
    "depot.build.v1.BuildService/CreateBuild": _PROJECT,
    "depot.build.v1.BuildService/FinishBuild": _BUILD | {"success": {}},
    "depot.build.v1.BuildService/GetBuildStepLogs": _BUILD | {"buildStepDigest": "sha256:0"},
    "depot.build.v1.BuildService/GetBuildSteps": _BUILD,
    "depot.buildkit.v1.BuildKitService/GetEndpoint": _ENDPOINT,
    "depot.buildkit.v1.BuildKitService/ReleaseEndpoint": _ENDPOINT,
    "depot.buildkit.v1.BuildKitService/ReportHealth": _ENDPOINT,
    "depot.cli.v1.BuildService/CreateBuild": _PROJECT,
    "depot.cli.v1.BuildService/FinishBuild": _BUILD | {"success": {}},
    "depot.cli.v1.BuildService/GetBuild": _BUILD,
    "depot.cli.v1.BuildService/GetBuildKitConnection": _CLI_ENDPOINT,
    "depot.cli.v1.BuildService/ListBuilds": _PROJECT,
    "depot.cli.v1.BuildService/ReportBuildContext": _BUILD,
    "depot.cli.v1.BuildService/ReportBuildHealth": _CLI_ENDPOINT,
    "depot.cli.v1.BuildService/ReportStatus": _BUILD,
    "depot.cli.v1.BuildService/ReportStatusStream": _BUILD,
    "depot.cli.v1.BuildService/ReportTimings": _BUILD,
    "depot.cli.v1beta1.ProjectsService/ResetProjectCache": _PROJECT,
    "depot.core.v1.BuildService/GetBuild": _BUILD,
    "depot.core.v1.BuildService/ListBuilds": _PROJECT,
    "depot.core.v1.BuildService/ShareBuild": _BUILD,
    "depot.core.v1.BuildService/StopSharingBuild": _BUILD,
    "depot.core.v1.ProjectService/AddTrustPolicy": _PROJECT
    | {"github": {"repositoryOwner": "acme", "repository": "more"}},
    "depot.core.v1.ProjectService/CreateProject": {"name": "new", "regionId": "us-east-1"} | _ORGANIZATION,
    "depot.core.v1.ProjectService/CreateToken": _PROJECT,
    "depot.core.v1.ProjectService/DeleteProject": _PROJECT,
    "depot.core.v1.ProjectService/DeleteToken": {"tokenId": "{token}"},
    "depot.core.v1.ProjectService/GetProject": _PROJECT,
    "depot.core.v1.ProjectService/ListTokens": _PROJECT,
    "depot.core.v1.ProjectService/ListTrustPolicies": _PROJECT,
    "depot.core.v1.ProjectService/RemoveTrustPolicy": _PROJECT | {"trustPolicyId": "{policy}"},
    "depot.core.v1.ProjectService/ResetProject": _PROJECT,
    "depot.core.v1.ProjectService/UpdateProject": _PROJECT | {"name": "renamed"},
    "depot.core.v1.ProjectService/UpdateToken": {"tokenId": "{token}", "description": "described"},
    "depot.core.v1.UsageService/GetProjectUsage": _PROJECT,
    "stoker.v1.AuditService/ListEvents": _ORGANIZATION,
    "stoker.v1.BuildService/CancelBuild": _BUILD,
    "stoker.v1.BuildService/GetBuild": _BUILD,
    "stoker.v1.BuildService/GetBuildFailure": _BUILD,
    "stoker.v1.BuildService/ListBuildSteps": _BUILD,
    "stoker.v1.BuildService/ListBuildWarnings": _BUILD,
    "stoker.v1.BuildService/ListBuilds": _PROJECT,
    "stoker.v1.BuildService/ListLogLines": _BUILD | {"stepNumber": 1},
    "stoker.v1.CacheService/ShowCache": _PROJECT,
    "stoker.v1.OrganizationService/ChangeMemberRole": _MEMBER | {"role": "ROLE_VIEWER"},
    "stoker.v1.OrganizationService/CreateInvitation": _ORGANIZATION
    | {"email": "new@example.com", "role": "ROLE_MEMBER"},
    "stoker.v1.OrganizationService/CreateToken": _ORGANIZATION,
    "stoker.v1.OrganizationService/ListInvitations": _ORGANIZATION,
    "stoker.v1.OrganizationService/ListMembers": _ORGANIZATION,
    "stoker.v1.OrganizationService/ListTokens": _ORGANIZATION,
    "stoker.v1.OrganizationService/RemoveMember": _MEMBER,
    "stoker.v1.OrganizationService/RenameOrganization": _ORGANIZATION | {"name": "default"},
    "stoker.v1.OrganizationService/RevokeInvitation": _ORGANIZATION | {"invitationId": "{invitation}"},
    "stoker.v1.OrganizationService/RevokeToken": _ORGANIZATION | {"tokenId": "{organization token}"},
    "stoker.v1.MachineService/ListMachines": _ORGANIZATION,
    "stoker.v1.QueueService/ListQueue": _ORGANIZATION,
    "stoker.v1.TrustService/AddPolicy": _PROJECT | {"provider": "github", "owner": "acme", "source": "more"},
    "stoker.v1.TrustService/CreateProjectToken": _PROJECT,
    "stoker.v1.TrustService/ListPolicies": _PROJECT,
    "stoker.v1.TrustService/ListProjectTokens": _PROJECT,
    "stoker.v1.WebhookService/CreateWebhook": _PROJECT | {"url": NOWHERE},
    "stoker.v1.WebhookService/DeleteWebhook": {"webhookId": "{webhook}"},
    "stoker.v1.WebhookService/ListDeliveries": {"webhookId": "{webhook}"},
    "stoker.v1.WebhookService/ListWebhooks": _PROJECT,
    "stoker.v1.WebhookService/TestWebhook": {"webhookId": "{webhook}"},
}
# What a rightful caller is told where it isn't simply done: the build has ended, so that no machine has to start, the
# login was never begun, only operators create organizations, the build has no steps, and some methods are missing yet.
TOLD = {
    "depot.buildkit.v1.BuildKitService/GetEndpoint": "failed_precondition",
    "depot.buildkit.v1.BuildKitService/ReportHealth": "failed_precondition",
    "depot.cli.v1.BuildService/GetBuildKitConnection": "failed_precondition",
    "depot.cli.v1beta1.LoginService/FinishLogin": "invalid_argument",
    "stoker.v1.OrganizationService/CreateOrganization": "invalid_argument",
    "depot.build.v1.BuildService/GetBuildStepLogs": "not_found",
    "stoker.v1.BuildService/ListLogLines": "not_found",
    "depot.build.v1.RegistryService/DeleteImage": "unimplemented",
    "depot.build.v1.RegistryService/ListImages": "unimplemented",
    "depot.cli.v1.BuildService/GetPullInfo": "unimplemented",
    "depot.cli.v1.BuildService/GetPullToken": "unimplemented",
    "depot.cli.v1.PushService/FinishPush": "unimplemented",
    "depot.cli.v1.PushService/StartPush": "unimplemented",
    **{method: "unimplemented" for method in METHODS if method.startswith("depot.registry.")},
}
_ENDS_A_BUILD = ("FinishBuild",)
_NEEDS_ENDED = ("GetEndpoint", "GetBuildKitConnection", "ReportHealth")


def right_answer(method: str, credential: str) -> str | None:
    """The code that the table asks for; None when the call has to go well."""
    rule = METHODS[method]
    if isinstance(rule, Open):
        return TOLD.get(method)
    if credential in UNAUTHENTICATED:
        return "unauthenticated"
    if credential == "OIDC unmatched":
        return "permission_denied"
    if credential == "nobody's person":
        is_admitted = CredentialKind.USER in rule.kinds and rule.role is None
        return TOLD.get(method) if is_admitted else "permission_denied"
    kind = RIGHTFUL.get(credential) or FOREIGN[credential]
    if kind not in rule.kinds or not _role_suffices(rule, credential):
        return "permission_denied"
    if credential in FOREIGN and method in REQUESTS:
        return "not_found"
    return TOLD.get(method)


def _role_suffices(rule: Rule, credential: str) -> bool:
    roles = {"viewer": Role.VIEWER, "member": Role.MEMBER, "owner": Role.OWNER}
    return credential not in roles or rule.role is None or roles[credential].covers(rule.role)


@dataclass
class World:
    """Two organizations with projects, builds and people, and the credentials of all of them."""

    server: Server
    issuer: Issuer
    registry: Registry
    organization: str
    project: str
    tokens: dict[str, str]
    things: dict[str, str]
    people: dict[str, Account]
    count: int = 0

    def fresh(self, method: str, credential: str) -> tuple[dict[str, str], str]:
        """Things that may be destroyed, and a credential of that kind for them."""
        things, token = dict(self.things), self.tokens.get(credential, "")
        projects = "depot.core.v1.ProjectService"
        project = things["project"] = self.server.new_project("fresh")
        things["build"], build_token = self.server.new_build(project)
        if credential == "project":
            token = self.server.call(f"{projects}/CreateToken", {"projectId": project}).body["secret"]
        elif credential == "build":
            token = build_token
        elif credential == "OIDC matched":
            self.count += 1
            token = self.trusted(project, f"fresh-{self.count}")
        if method.endswith("Token"):
            made = self.server.call(f"{projects}/CreateToken", {"projectId": project})
            things["token"] = made.body["tokenId"]
            own = {"organizationId": self.organization}
            made = self.server.call("stoker.v1.OrganizationService/CreateToken", own, token=self.tokens["owner"])
            things["organization token"] = made.body["tokenId"]
        elif method.endswith("RemoveTrustPolicy"):
            policy = {"projectId": project, "github": {"repositoryOwner": "acme", "repository": "x"}}
            made = self.server.call(f"{projects}/AddTrustPolicy", policy)
            things["policy"] = made.body["trustPolicy"]["trustPolicyId"]
        elif method.endswith(("RemoveMember", "ChangeMemberRole")):
            self.count += 1
            member = self.registry.person(f"fresh{self.count}", **{f"o{self.organization}": Role.MEMBER})
            things["person"] = member.id
        elif method.endswith("RevokeInvitation"):
            wanted = {"organizationId": self.organization, "email": "who@example.com", "role": "ROLE_VIEWER"}
            made = self.server.call(
                "stoker.v1.OrganizationService/CreateInvitation", wanted, token=self.tokens["owner"]
            )
            things["invitation"] = made.body["invitation"]["invitationId"]
        elif method.startswith("stoker.v1.WebhookService/"):
            made = self.server.call("stoker.v1.WebhookService/CreateWebhook", {"projectId": project, "url": NOWHERE})
            things["webhook"] = made.body["webhook"]["webhookId"]
        elif method.endswith(_NEEDS_ENDED):
            ended = {"buildId": things["build"], "success": {}}
            assert self.server.call("depot.build.v1.BuildService/FinishBuild", ended).status == 200
        return things, token

    def trusted(self, project: str, repository: str) -> str:
        policy = {"projectId": project, "github": {"repositoryOwner": "acme", "repository": repository}}
        assert self.server.call("depot.core.v1.ProjectService/AddTrustPolicy", policy).status == 200
        return self.issuer.token(repository_owner="acme", repository=f"acme/{repository}")

    def answer(self, method: str, credential: str) -> str | None:
        """The code of the answer; None when the call went well."""
        things, token = self.things, self.tokens.get(credential, "")
        if credential in RIGHTFUL and right_answer(method, credential) != "permission_denied":
            things, token = self.fresh(method, credential)
        if method.endswith("/LogOut") and credential in self.people:
            token = self.registry.token(blank_token(CredentialKind.USER, person_id=self.people[credential].id))
        request = {name: _filled(value, things) for name, value in REQUESTS.get(method, {}).items()}
        return self.code(method, request, token)

    def code(self, method: str, request: object, token: str) -> str | None:
        """The code of the answer to a call; None when it went well."""
        streaming = method in STREAMING
        body = json.dumps(request).encode()
        headers = {"content-type": "application/connect+json" if streaming else "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        with closing(http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=30)) as connection:
            framed = struct.pack(">BI", 0, len(body)) + body if streaming else body
            connection.request("POST", f"/{method}", framed, headers)
            response = connection.getresponse()
            content = response.read() if not streaming or response.status != 200 else _end_of_stream(response)
        answer = json.loads(content or b"{}")
        return (answer.get("error") or {}).get("code") if streaming and response.status == 200 else answer.get("code")


def _filled(value: object, things: dict[str, str]) -> object:
    if isinstance(value, str) and value.startswith("{"):
        return things[value[1:-1]]
    return value


def _end_of_stream(response: http.client.HTTPResponse) -> bytes:
    while header := response.read(5):
        flags, length = struct.unpack(">BI", header)
        content = response.read(length)
        if flags & 2:
            return content
    return b"{}"


@pytest.fixture(scope="module")
def issuers() -> Iterator[IssuerHost]:
    host = IssuerHost()
    host.add("github")
    yield host
    host.close()


@pytest.fixture(scope="module")
def world(make_server: Callable[..., Server], issuers: IssuerHost) -> World:
    issuer = issuers.issuers["github"]
    # All that are tried log in from one address.
    many = {"max_open_logins_per_address": "1000"}
    server = make_server(github_issuer=issuer.url, webhook_private_addresses="true", **many)
    registry = Registry(server)
    organization = server.first["DEPOT_ORG_ID"]
    project, other_project = server.new_project("guarded"), server.new_project("other")
    other_organization = registry.organization("other")
    now = CLOCK.now()
    own = blank_token(CredentialKind.ORGANIZATION, organization_id=organization)
    people = {
        role.value: registry.person(role.value, **{f"o{organization}": role})
        for role in (Role.VIEWER, Role.MEMBER, Role.OWNER)
    }
    people["nobody's person"] = registry.person("nobody")
    people["other organization's owner"] = registry.person("elsewhere", **{f"o{other_organization}": Role.OWNER})
    build, build_token = server.new_build(project)
    past = now - timedelta(seconds=1)
    tokens = {
        "none": "",
        "malformed": "not-a-token",
        "damaged": server.token[:-1] + ("a" if server.token[-1] != "a" else "b"),
        "unknown": new_token(CredentialKind.ORGANIZATION, RANDOMNESS).secret,
        "expired": registry.token(replace(own, expires_at=past)),
        "revoked": registry.token(replace(own, revoked_at=now)),
        "user expired": registry.token(
            replace(blank_token(CredentialKind.USER, person_id=people["owner"].id), expires_at=past)
        ),
        "organization": server.token,
        **{credential: person.token for credential, person in people.items()},
        "other organization": registry.token(replace(own, organization_id=other_organization)),
        "project": registry.token(
            blank_token(CredentialKind.PROJECT, organization_id=organization, project_id=project)
        ),
        "build": build_token,
        "other project": registry.token(
            blank_token(CredentialKind.PROJECT, organization_id=organization, project_id=other_project)
        ),
        "other build": server.new_build(project)[1],
        "other project's build": server.new_build(other_project)[1],
        "OIDC unmatched": issuer.token(repository_owner="acme", repository="acme/unknown"),
        "OIDC expired": issuer.token(repository_owner="acme", repository="acme/ours", exp=1),
    }
    things = {"organization": organization, "project": project, "build": build, "person": people["member"].id}
    things |= {"policy": UNKNOWN_ID, "invitation": UNKNOWN_ID, "organization token": UNKNOWN_ID}
    made = server.call("depot.core.v1.ProjectService/CreateToken", {"projectId": project})
    things["token"] = made.body["tokenId"]
    marked = {
        CredentialKind.ORGANIZATION: own,
        CredentialKind.PROJECT: blank_token(CredentialKind.PROJECT, organization_id=organization, project_id=project),
        CredentialKind.BUILD: blank_token(
            CredentialKind.BUILD, organization_id=organization, project_id=project, build_id=build
        ),
    }
    tokens |= {f"untrusted {kind}": registry.token(replace(token, untrusted=True)) for kind, token in marked.items()}
    made = server.call("stoker.v1.WebhookService/CreateWebhook", {"projectId": project, "url": NOWHERE})
    things["webhook"] = made.body["webhook"]["webhookId"]
    world = World(server, issuer, registry, organization, project, tokens, things, people)
    tokens["OIDC matched"] = world.trusted(project, "ours")
    tokens["OIDC matched elsewhere"] = world.trusted(other_project, "theirs")
    return world


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("method", PUBLIC_METHODS)
def test_every_method_gives_every_credential_its_right_answer(world: World, method: str, credential: str) -> None:
    assert world.answer(method, credential) == right_answer(method, credential)


@pytest.mark.parametrize("method", sorted(method for method, rule in METHODS.items() if isinstance(rule, Rule)))
def test_an_untrusted_credential_is_taken_only_where_the_table_says_so(world: World, method: str) -> None:
    rule = METHODS[method]
    assert isinstance(rule, Rule)
    credentials = {kind: world.tokens[f"untrusted {kind}"] for kind in UNTRUSTED}
    request = {name: _filled(value, world.things) for name, value in REQUESTS.get(method, {}).items()}
    for kind, token in credentials.items():
        is_refused = world.code(method, request, token) == "permission_denied"
        assert is_refused is (kind not in rule.untrusted), kind


def test_all_methods_of_the_contract_are_in_the_table() -> None:
    wire = {f"{service}/{name}" for service, methods in WIRE["services"].items() for name in methods}
    assert wire <= set(PUBLIC_METHODS)


def test_nothing_that_was_refused_has_changed_anything(world: World) -> None:
    server = world.server
    assert server.query("select status from builds where id = ?", world.things["build"]) == [("running",)]
    assert server.query("select name from projects where id = ?", world.project) == [("guarded",)]
    assert server.query("select count(*) from tokens where project_id = ? and kind = 'project'", world.project) == [
        (3,)
    ]
    assert server.query("select role from memberships where person_id = ?", world.things["person"]) == [("member",)]


@pytest.mark.parametrize("method", sorted(set(REQUESTS) - {"depot.core.v1.ProjectService/CreateProject"}))
def test_what_is_not_there_and_what_is_not_yours_get_the_same_answer(world: World, method: str) -> None:
    rule = METHODS[method]
    assert isinstance(rule, Rule)
    credential = "other organization" if CredentialKind.ORGANIZATION in rule.kinds else "other organization's owner"
    messages: list[str] = []
    for things in (world.things, dict.fromkeys(world.things, UNKNOWN_ID)):
        request = {name: _filled(value, things) for name, value in REQUESTS[method].items()}
        if method in STREAMING:
            messages.append(str(world.code(method, request, world.tokens[credential])))
            continue
        answer = world.server.call(method, request, token=world.tokens[credential])
        assert answer.code == "not_found"
        named = [str(value) for value in request.values()]
        messages.append(" ".join("ID" if word.strip(";,") in named else word for word in answer.message.split()))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("credential", ["organization", "owner"])
def test_an_unknown_organization_and_another_one_get_the_same_answer(world: World, credential: str) -> None:
    other = world.server.query("select id from organizations where name = 'other'")[0][0]
    answers = [
        world.server.call(
            "depot.core.v1.ProjectService/CreateProject",
            {"name": "x", "regionId": "us-east-1", "organizationId": organization},
            token=world.tokens[credential],
        )
        for organization in (other, UNKNOWN_ID)
    ]
    assert answers[0].code == answers[1].code == "not_found"
    assert answers[0].message.replace(other, "ID") == answers[1].message.replace(UNKNOWN_ID, "ID")


def test_no_token_is_stored_or_logged(world: World) -> None:
    stored = world.server.stored()
    logged = b"".join(path.read_bytes() for path in (world.server.data / "logs").rglob("*.log"))
    for secret in filter(None, world.tokens.values()):
        assert secret.encode() not in stored
        assert secret.encode() not in logged
