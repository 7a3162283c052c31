"""Whoever floods the audit log pushes out their own events alone."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from stoker.domain.people import Role
from stoker.domain.principals import CredentialKind
from tests.harness.browser import Browser
from tests.harness.people import Registry, blank_token
from tests.harness.server import Server
from tests.harness.waiting import eventually

PER_ACTOR, PER_ORGANIZATION, ON_SERVER = 12, 16, 40
CORE = "depot.core.v1.BuildService"
TOKENS = "stoker.v1.OrganizationService/CreateToken"


@pytest.fixture(scope="module")
def bounded(make_server: Callable[..., Server]) -> Server:
    return make_server(
        max_audit_events=str(ON_SERVER),
        max_audit_events_per_organization=str(PER_ORGANIZATION),
        max_audit_events_per_actor=str(PER_ACTOR),
        cleanup_seconds="0.5",
    )


def flooded(server: Server, tokens: int) -> tuple[str, str]:
    """An organization whose tokens flood the log, and its owner's id, who did two things before."""
    registry = Registry(server)
    organization = registry.organization("flooding")
    owner = registry.person(f"owner-{secrets.token_hex(4)}", **{f"o{organization}": Role.OWNER})
    for number in range(2):
        made = {"organizationId": organization, "description": f"of {number}"}
        assert server.call(TOKENS, made, token=owner.token).status == 200
    for _ in range(tokens):
        token = registry.token(blank_token(CredentialKind.ORGANIZATION, organization_id=organization))
        wanted = {"name": "shared", "regionId": "us-east-1"}
        project = server.call("depot.core.v1.ProjectService/CreateProject", wanted, token=token).body["project"]
        created = {"projectId": project["projectId"]}
        build = server.call("depot.build.v1.BuildService/CreateBuild", created, token=token).body["buildId"]
        for _ in range(PER_ACTOR):
            for method in ("ShareBuild", "StopSharingBuild"):
                assert server.call(f"{CORE}/{method}", {"buildId": build}, token=token).status == 200
    return organization, owner.id


def count(server: Server, which: str, *values: object) -> int:
    return server.query(f"select count(*) from audit_events where {which}", *values)[0][0]  # noqa: S608


@pytest.mark.bound("max_audit_events", "max_audit_events_per_organization", "max_audit_events_per_actor")
def test_a_flood_pushes_out_nobody_elses_events(bounded: Server) -> None:
    first = bounded.first["DEPOT_ORG_ID"]
    before = count(bounded, "organization_id = ?", first)
    assert before > 0

    one, its_owner = flooded(bounded, 1)
    eventually(lambda: count(bounded, "organization_id = ?", one) == PER_ACTOR + 2, "one token keeps its part", 30)
    assert count(bounded, "actor_id = ?", its_owner) == 2

    many, their_owner = flooded(bounded, 3)
    eventually(lambda: count(bounded, "organization_id = ?", many) <= PER_ORGANIZATION, "so do several", 30)
    assert count(bounded, "actor_id = ?", their_owner) == 2

    browser = Browser(bounded.url)
    for number in range(PER_ACTOR + 4):
        assert browser.post("/sign-in", email=f"{number}@example.com", password="a guess", next="/").status == 401
    eventually(lambda: count(bounded, "actor_kind = 'nobody'") <= PER_ACTOR, "strangers keep their part", 30)

    last, last_owner = flooded(bounded, 2)
    eventually(lambda: count(bounded, "true") <= ON_SERVER, "all together keep to the server's bound", 30)
    assert [count(bounded, "actor_id = ?", one) for one in (its_owner, their_owner, last_owner)] == [2, 2, 2]
    assert count(bounded, "organization_id = ?", last) > 0
    assert count(bounded, "organization_id = ?", first) == before
