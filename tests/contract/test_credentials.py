"""Every method with every kind of credential, against the one table that says who may call what."""

from __future__ import annotations

import asyncio
import http.client
import json
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from stoker.auth.access import METHODS, Open
from stoker.auth.tokens import new_token
from stoker.domain.ids import new_id
from stoker.domain.principals import CredentialKind
from stoker.domain.projects import Organization
from stoker.store.database import Database, open_sqlite
from stoker.store.organizations import add_organization
from stoker.store.tokens import StoredToken, add_token
from stoker.system import SystemClock, SystemRandomness
from tests.contract.test_wire import WIRE
from tests.harness.issuer import IssuerHost
from tests.harness.server import Server

CLOCK, RANDOMNESS = SystemClock(), SystemRandomness()
REFUSED = ("none", "malformed", "damaged", "unknown", "expired", "revoked", "OIDC expired")
NARROW_METHODS = {  # methods that name a project or a build of ours, with the request that does
    "depot.build.v1.BuildService/CreateBuild": "project",
    "depot.build.v1.BuildService/FinishBuild": "finish",
    "depot.buildkit.v1.BuildKitService/GetEndpoint": "endpoint",
    "depot.buildkit.v1.BuildKitService/ReleaseEndpoint": "endpoint",
    "depot.buildkit.v1.BuildKitService/ReportHealth": "endpoint",
    "depot.cli.v1.BuildService/CreateBuild": "project",
    "depot.cli.v1.BuildService/FinishBuild": "finish",
    "depot.cli.v1.BuildService/GetBuild": "build",
    "depot.cli.v1.BuildService/GetBuildKitConnection": "cli_endpoint",
    "depot.cli.v1.BuildService/ReportBuildContext": "build",
    "depot.cli.v1.BuildService/ReportBuildHealth": "cli_endpoint",
    "depot.cli.v1.BuildService/ReportStatus": "build",
    "depot.cli.v1.BuildService/ReportStatusStream": "build",
    "depot.cli.v1.BuildService/ReportTimings": "build",
    "depot.cli.v1beta1.ProjectsService/ResetProjectCache": "project",
    "depot.cli.v1.BuildService/ListBuilds": "project",
    "depot.core.v1.BuildService/GetBuild": "build",
    "depot.core.v1.BuildService/ListBuilds": "project",
    "depot.core.v1.ProjectService/CreateToken": "project",
    "depot.core.v1.ProjectService/DeleteProject": "project",
    "depot.core.v1.ProjectService/GetProject": "project",
    "depot.core.v1.ProjectService/ListTokens": "project",
    "depot.core.v1.ProjectService/ResetProject": "project",
    "depot.core.v1.ProjectService/UpdateProject": "project",
}
ALL_METHODS = sorted(method for method in METHODS if method.startswith("depot."))


@dataclass(frozen=True)
class World:
    """A project and a build of ours, and tokens of all kinds."""

    server: Server
    project: str
    build: str
    tokens: dict[str, str]

    def request(self, method: str) -> dict[str, object]:
        build: dict[str, object] = {"buildId": self.build}
        shapes: dict[str | None, dict[str, object]] = {
            "project": {"projectId": self.project},
            "build": build,
            "finish": build | {"success": {}},
            "endpoint": build | {"platform": "PLATFORM_AMD64"},
            "cli_endpoint": build | {"platform": "BUILDER_PLATFORM_AMD64"},
            None: {},
        }
        return shapes[NARROW_METHODS.get(method)]

    def code(self, method: str, credential: str) -> str | None:
        """The code of the answer; None when the call went well."""
        service, _, name = method.partition("/")
        streaming = WIRE["services"][service][name]["kind"] != "unary"
        body = json.dumps(self.request(method)).encode()
        headers = {"content-type": "application/connect+json" if streaming else "application/json"}
        if self.tokens[credential]:
            headers["authorization"] = f"Bearer {self.tokens[credential]}"
        with closing(http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=30)) as connection:
            framed = struct.pack(">BI", 0, len(body)) + body if streaming else body
            connection.request("POST", f"/{method}", framed, headers)
            response = connection.getresponse()
            content = response.read() if not streaming or response.status != 200 else _end_of_stream(response)
        answer = json.loads(content or b"{}")
        return (answer.get("error") or {}).get("code") if streaming and response.status == 200 else answer.get("code")


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
    server = make_server(github_issuer=issuer.url)
    database = open_sqlite(server.data / "stoker.db")
    project, other_project = server.new_project("guarded"), server.new_project("other")
    build, build_token = server.new_build(project)
    tokens = {
        "none": "",
        "malformed": "not-a-token",
        "damaged": server.token[:-1] + ("a" if server.token[-1] != "a" else "b"),
        "unknown": new_token(CredentialKind.ORGANIZATION, RANDOMNESS).secret,
        "organization": server.token,
        "build": build_token,
        "other build": server.new_build(project)[1],
        "other project's build": server.new_build(other_project)[1],
    }
    for trusting, name in ((project, "ours"), (other_project, "theirs")):
        policy = {"projectId": trusting, "github": {"repositoryOwner": "acme", "repository": name}}
        assert server.call("depot.core.v1.ProjectService/AddTrustPolicy", policy).status == 200
    for credential, name in (("OIDC", "ours"), ("other OIDC", "theirs"), ("OIDC unmatched", "unknown")):
        tokens[credential] = issuer.token(repository_owner="acme", repository=f"acme/{name}")
    tokens["OIDC expired"] = issuer.token(repository_owner="acme", repository="acme/ours", exp=1)
    tokens |= asyncio.run(_stored_tokens(database, server.first["DEPOT_ORG_ID"], project, other_project))
    return World(server, project, build, tokens)


async def _stored_tokens(database: Database, organization: str, project: str, other_project: str) -> dict[str, str]:
    now = CLOCK.now()
    own = StoredToken(
        id="",
        kind=CredentialKind.ORGANIZATION,
        organization_id=organization,
        project_id=None,
        build_id=None,
        description="",
        created_at=now,
    )
    other = Organization(id=new_id(CLOCK, RANDOMNESS), name="other", created_at=now)
    wanted = {
        "expired": replace(own, expires_at=now - timedelta(seconds=1)),
        "revoked": replace(own, revoked_at=now),
        "other organization": replace(own, organization_id=other.id),
        "project": replace(own, kind=CredentialKind.PROJECT, project_id=project),
        "other project": replace(own, kind=CredentialKind.PROJECT, project_id=other_project),
    }
    secrets: dict[str, str] = {}
    async with database.write() as tx:
        await add_organization(tx, other)
        for name, token in wanted.items():
            made = new_token(token.kind, RANDOMNESS)
            await add_token(tx, replace(token, id=new_id(CLOCK, RANDOMNESS)), made.secret_hash)
            secrets[name] = made.secret
    await database.close()
    return secrets


@pytest.mark.parametrize("credential", REFUSED)
@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_credential_that_is_not_valid_opens_nothing(world: World, method: str, credential: str) -> None:
    expected = "unimplemented" if METHODS[method] is Open.ANYONE else "unauthenticated"
    assert world.code(method, credential) == expected


@pytest.mark.parametrize("credential", ["project", "build", "OIDC"])
@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_kind_of_credential_that_the_table_does_not_name_is_refused(
    world: World, method: str, credential: str
) -> None:
    allowed = METHODS[method]
    if isinstance(allowed, Open) or CredentialKind(credential) in allowed:
        request_names_something_else = world.code(method, "other project") if credential == "project" else None
        assert request_names_something_else != "permission_denied"
    else:
        assert world.code(method, credential) == "permission_denied"


@pytest.mark.parametrize(
    "credential", ["other organization", "other project", "other build", "other project's build", "other OIDC"]
)
@pytest.mark.parametrize("method", sorted(NARROW_METHODS))
def test_what_is_not_yours_is_not_there(world: World, method: str, credential: str) -> None:
    kind = {"other organization": "organization", "other project": "project", "other OIDC": "OIDC"}.get(
        credential, "build"
    )
    allowed = METHODS[method]
    assert not isinstance(allowed, Open)
    expected = "not_found" if CredentialKind(kind) in allowed else "permission_denied"
    assert world.code(method, credential) == expected


@pytest.mark.parametrize("method", [method for method in ALL_METHODS if METHODS[method] is not Open.ANYONE])
def test_an_oidc_token_that_no_project_trusts_opens_nothing(world: World, method: str) -> None:
    assert world.code(method, "OIDC unmatched") == "permission_denied"


def test_the_rightful_owner_still_has_it_all(world: World) -> None:
    assert world.code("depot.core.v1.ProjectService/GetProject", "organization") is None
    assert world.code("depot.core.v1.ProjectService/GetProject", "project") is None
    assert world.code("depot.cli.v1.BuildService/GetBuild", "build") is None
    assert world.code("depot.cli.v1.BuildService/GetBuild", "OIDC") is None
    assert world.code("depot.build.v1.BuildService/CreateBuild", "OIDC") is None
    assert world.server.query("select status from builds where id = ?", world.build) == [("running",)]


def test_an_unknown_organization_and_another_one_get_the_same_answer(world: World) -> None:
    other = world.server.query("select id from organizations where name = 'other'")[0][0]
    answers = [
        world.server.call(
            "depot.core.v1.ProjectService/CreateProject",
            {"name": "x", "regionId": "us-east-1", "organizationId": organization},
        )
        for organization in (other, "0000000000000000")
    ]
    assert answers[0].code == answers[1].code == "not_found"
    assert answers[0].message.replace(other, "ID") == answers[1].message.replace("0000000000000000", "ID")


def test_no_token_is_stored_or_logged(world: World) -> None:
    stored = b"".join(path.read_bytes() for path in world.server.data.glob("stoker.db*"))
    logged = b"".join(path.read_bytes() for path in (world.server.data / "logs").rglob("*.log"))
    for secret in filter(None, world.tokens.values()):
        assert secret.encode() not in stored
        assert secret.encode() not in logged
