"""What projects, organizations and people may have at most: one reaches it, and another goes on."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from stoker.domain.people import Role
from stoker.domain.principals import CredentialKind
from tests.harness.browser import PASSWORD, Browser, join
from tests.harness.people import Account, Registry, blank_token, invite
from tests.harness.server import Answer, Server

PROJECTS = "depot.core.v1.ProjectService"
GIGABYTE = 1024**3


@pytest.fixture(scope="module")
def small(make_server: Callable[..., Server]) -> Server:
    """A server on which everybody may have little."""
    return make_server(
        max_projects="3",
        max_project_tokens="3",
        max_organization_tokens="3",
        max_members="3",
        max_trust_policies="2",
        max_project_webhooks="2",
        max_sessions="2",
        max_open_builds_per_project="3",
        builds_per_second="0.001",
        builds_burst="6",
        max_keep_bytes=str(100 * GIGABYTE),
        max_organization_keep_bytes=str(200 * GIGABYTE),
    )


@dataclass(frozen=True)
class Tenant:
    """An organization with an owner and a project."""

    server: Server
    organization: str
    owner: Account
    token: str
    project: str

    @classmethod
    def settle(cls, server: Server) -> Tenant:
        registry = Registry(server)
        organization = registry.organization("tenant")
        owner = registry.person(f"owner-{secrets.token_hex(4)}", **{f"o{organization}": Role.OWNER})
        token = registry.token(blank_token(CredentialKind.ORGANIZATION, organization_id=organization))
        created = _created(server, token, "first")
        return cls(server, organization, owner, token, created.body["project"]["projectId"])

    def call(self, method: str, **request: Any) -> Answer:
        return self.server.call(method, request, token=self.token)

    def as_owner(self, method: str, **request: Any) -> Answer:
        return self.server.call(method, {"organizationId": self.organization} | request, token=self.owner.token)

    def new_project(self, **policy: int) -> Answer:
        return _created(self.server, self.token, "another", **policy)


def _created(server: Server, token: str, name: str, **policy: int) -> Answer:
    wanted = {"name": name, "regionId": "us-east-1", "hardware": "HARDWARE_UNSPECIFIED"}
    return server.call(f"{PROJECTS}/CreateProject", wanted | ({"cachePolicy": policy} if policy else {}), token=token)


@pytest.fixture
def greedy(small: Server) -> Tenant:
    return Tenant.settle(small)


@pytest.fixture
def neighbour(small: Server) -> Tenant:
    return Tenant.settle(small)


def assert_bounded(greedy: Callable[[int], Answer], neighbour: Callable[[int], Answer], most: int, advice: str) -> None:
    """One gets so many and no more, is told what to do, and another one still gets theirs."""
    answers = [greedy(number) for number in range(most + 1)]
    assert [answer.status for answer in answers[:most]] == [200] * most, answers
    assert answers[most].code == "resource_exhausted"
    assert advice in answers[most].message
    assert neighbour(0).status == 200


@pytest.mark.bound("max_projects")
def test_projects(greedy: Tenant, neighbour: Tenant) -> None:
    small = {"keepBytes": 2 * 1000**3}
    assert_bounded(lambda _: greedy.new_project(**small), lambda _: neighbour.new_project(**small), 2, "delete some")


@pytest.mark.bound("max_project_tokens")
def test_tokens_of_a_project(greedy: Tenant, neighbour: Tenant) -> None:
    def create(tenant: Tenant) -> Answer:
        return tenant.call(f"{PROJECTS}/CreateToken", projectId=tenant.project, description="CI")

    assert_bounded(lambda _: create(greedy), lambda _: create(neighbour), 3, "delete some")


@pytest.mark.bound("max_organization_tokens")
def test_tokens_of_an_organization(greedy: Tenant, neighbour: Tenant) -> None:
    def create(tenant: Tenant) -> Answer:
        return tenant.as_owner("stoker.v1.OrganizationService/CreateToken", description="CI")

    assert_bounded(lambda _: create(greedy), lambda _: create(neighbour), 2, "revoke some")


@pytest.mark.bound("max_members")
def test_members_and_invitations(greedy: Tenant, neighbour: Tenant) -> None:
    def invite_one(tenant: Tenant, number: int) -> Answer:
        request = {"email": f"{number}@example.com", "role": "ROLE_MEMBER"}
        return tenant.as_owner("stoker.v1.OrganizationService/CreateInvitation", **request)

    assert_bounded(lambda number: invite_one(greedy, number), lambda _: invite_one(neighbour, 0), 2, "revoke some inv")


@pytest.mark.bound("max_trust_policies")
def test_trust_policies(greedy: Tenant, neighbour: Tenant) -> None:
    def add(tenant: Tenant, number: int) -> Answer:
        github = {"repositoryOwner": "example", "repository": f"repository-{number}"}
        return tenant.call(f"{PROJECTS}/AddTrustPolicy", projectId=tenant.project, github=github)

    assert_bounded(lambda number: add(greedy, number), lambda _: add(neighbour, 0), 2, "remove some")


@pytest.mark.bound("max_project_webhooks")
def test_webhooks(greedy: Tenant, neighbour: Tenant) -> None:
    def create(tenant: Tenant) -> Answer:
        request = {"projectId": tenant.project, "url": "https://ci.example.com/"}
        return tenant.call("stoker.v1.WebhookService/CreateWebhook", **request)

    assert_bounded(lambda _: create(greedy), lambda _: create(neighbour), 2, "delete some")


@pytest.mark.bound("max_keep_bytes", "max_organization_keep_bytes")
def test_cache_policies(greedy: Tenant, neighbour: Tenant) -> None:
    def keep(tenant: Tenant, gigabytes: int) -> Answer:
        policy = {"keepBytes": gigabytes * GIGABYTE}
        return tenant.call(f"{PROJECTS}/UpdateProject", projectId=tenant.project, cachePolicy=policy)

    refused = keep(greedy, 101)
    assert refused.code == "invalid_argument"
    assert "(100 GB)" in refused.message
    assert keep(greedy, 100).status == 200
    assert greedy.new_project(keepBytes=90 * GIGABYTE).status == 200
    together = greedy.new_project(keepBytes=20 * GIGABYTE)
    assert together.code == "resource_exhausted"
    assert "keep 190 GB of the 200 GB" in together.message
    assert greedy.new_project(keepBytes=10 * GIGABYTE).status == 200
    assert keep(greedy, 90).status == 200, "less is always possible"
    assert keep(greedy, 100).status == 200
    renamed = greedy.call(f"{PROJECTS}/UpdateProject", projectId=greedy.project, name="renamed")
    assert renamed.status == 200
    assert keep(neighbour, 100).status == 200


@pytest.mark.bound("max_open_builds_per_project")
def test_builds_that_have_not_ended(greedy: Tenant, neighbour: Tenant) -> None:
    def create(tenant: Tenant) -> Answer:
        return tenant.call("depot.build.v1.BuildService/CreateBuild", projectId=tenant.project)

    begun = create(greedy).body["buildId"]
    assert_bounded(lambda _: create(greedy), lambda _: create(neighbour), 2, "end some")
    ended = greedy.call("depot.build.v1.BuildService/FinishBuild", buildId=begun, success={})
    assert ended.status == 200
    assert create(greedy).status == 200


@pytest.mark.bound("builds_per_second", "builds_burst")
def test_builds_a_second(greedy: Tenant, neighbour: Tenant) -> None:
    def create_and_end(tenant: Tenant) -> Answer:
        made = tenant.call("depot.build.v1.BuildService/CreateBuild", projectId=tenant.project)
        if made.status == 200:
            tenant.call("depot.build.v1.BuildService/FinishBuild", buildId=made.body["buildId"], success={})
        return made

    assert_bounded(lambda _: create_and_end(greedy), lambda _: create_and_end(neighbour), 6, "try again in")


@pytest.mark.bound("max_sessions")
def test_browsers_of_a_person(small: Server) -> None:
    ada = Browser(small.url)
    join(ada, invite(small, "ada@example.com", "ROLE_MEMBER"), name="Ada", password=PASSWORD)
    browsers = [Browser(small.url) for _ in range(3)]
    for browser in browsers:
        assert browser.post("/sign-in", email="ada@example.com", password=PASSWORD, next="/").path == "/"
    assert [browser.get("/").path for browser in (ada, *browsers)] == ["/sign-in", "/sign-in", "/", "/"]
    eve = Browser(small.url)
    join(
        eve,
        invite(small, "eve@example.com", "ROLE_MEMBER", Tenant.settle(small).organization),
        name="Eve",
        password=PASSWORD,
    )
    assert eve.get("/").path == "/"
