"""OIDC tokens as bearers, from a real issuer with rotating keys, matched against trust policies."""

from __future__ import annotations

import asyncio
import base64
import hmac
import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.cache_policy import CachePolicy
from stoker.domain.hardware import DEFAULT_HARDWARE
from stoker.domain.ids import new_id
from stoker.domain.projects import Organization, Project
from stoker.domain.trust_policies import ProviderKind, TrustPolicy
from stoker.store.organizations import add_organization
from stoker.store.projects import add_project
from stoker.store.trust_policies import add_policy
from stoker.system import SystemClock, SystemRandomness
from tests.harness import ci_tokens
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.issuer import ORGANIZATION, Issuer, IssuerHost
from tests.harness.server import Answer, Server

CREATE = "depot.build.v1.BuildService/CreateBuild"
POLICIES = "depot.core.v1.ProjectService"
PROJECT_UUID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"


@pytest.fixture(scope="module")
def host() -> Iterator[IssuerHost]:
    opened = IssuerHost()
    opened.add("github")
    opened.add("buildkite")
    opened.add(f"circleci/org/{ORGANIZATION}", audience=ORGANIZATION)
    opened.add("gitlab", audience="https://stoker.example.com", algorithm="ES256")
    opened.add("enterprise")
    opened.add("slow", serve="nothing")
    opened.add("down", serve="down")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def oidc_server(make_server: Callable[..., Server], host: IssuerHost) -> Server:
    providers = [
        {
            "name": "gitlab",
            "kind": "gitlab",
            "issuer": f"{host.url}/gitlab",
            "audience": "https://stoker.example.com",
            "algorithms": ["ES256"],
        },
        *(
            {"name": name, "kind": "github", "issuer": f"{host.url}/{name}", "audience": "https://depot.dev"}
            for name in ("enterprise", "slow", "down")
        ),
    ]
    return make_server(
        github_issuer=f"{host.url}/github",
        buildkite_issuer=f"{host.url}/buildkite",
        circleci_issuer=f"{host.url}/circleci/org/{{organization}}",
        oidc_providers=json.dumps(providers),
        oidc_refresh_seconds="0",
        oidc_timeout_seconds="30",
    )


@dataclass
class Trust:
    """A project that trusts one repository of GitHub's."""

    server: Server
    issuer: Issuer
    project: str
    owner: str
    policy: str

    @property
    def source(self) -> dict[str, str]:
        return {"repository_owner": self.owner, "repository": f"{self.owner}/app"}

    def token(self, **claims: Any) -> str:
        return self.issuer.token(**self.source | claims)

    def create(self, token: str, project: str | None = None, **headers: str) -> Answer:
        wanted = {"projectId": self.project if project is None else project}
        return self.server.call(CREATE, wanted, token=token, headers=headers)


_owners = itertools.count()


def add_trust_policy(server: Server, project: str, **provider: dict[str, str]) -> Answer:
    return server.call(f"{POLICIES}/AddTrustPolicy", {"projectId": project, **provider})


@pytest.fixture
def trust(oidc_server: Server, host: IssuerHost) -> Trust:
    owner = f"acme-{next(_owners)}"
    project = oidc_server.new_project(owner)
    added = add_trust_policy(oidc_server, project, github={"repositoryOwner": owner, "repository": "app"})
    policy = added.body["trustPolicy"]["trustPolicyId"]
    return Trust(oidc_server, host.issuers["github"], project, owner, policy)


def test_the_depot_cli_builds_with_a_raw_oidc_token(trust: Trust, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo built"))
    depot = Depot(trust.server, tmp_path)
    built = depot.build(cwd=context, DEPOT_TOKEN=trust.token(), DEPOT_PROJECT_ID=trust.project)
    assert built.code == 0, built.output
    stranger = trust.token(repository=f"{trust.owner}/other")
    refused = depot.build(cwd=context, DEPOT_TOKEN=stranger, DEPOT_PROJECT_ID=trust.project)
    assert refused.code != 0
    assert "no project trusts" in refused.output


def test_the_depot_cli_finds_the_token_of_its_ci(trust: Trust, host: IssuerHost, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo built"))
    depot = Depot(trust.server, tmp_path)
    circleci = {"organizationUuid": ORGANIZATION, "projectUuid": PROJECT_UUID}
    assert add_trust_policy(trust.server, trust.project, circleci=circleci).status == 200
    in_circleci = host.issuers[f"circleci/org/{ORGANIZATION}"].token(**{"oidc.circleci.com/project-id": PROJECT_UUID})
    gitlab = {"repositoryOwner": f"gitlab:{trust.owner}", "repository": "app"}
    assert add_trust_policy(trust.server, trust.project, github=gitlab).status == 200
    in_gitlab = host.issuers["gitlab"].token(namespace_path=trust.owner, project_path=f"{trust.owner}/app")
    with host.giving(f"{trust.owner}/token", {"value": trust.token()}) as url:
        surroundings: dict[str, dict[str, str]] = {
            "github": {
                "GITHUB_ACTIONS": "true",
                "ACTIONS_ID_TOKEN_REQUEST_URL": f"{url}?api-version=2.0",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner",
            },
            "circleci": {"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": in_circleci},
            "gitlab": {"GITLAB_CI": "true", "DEPOT_OIDC_TOKEN": in_gitlab},
        }
        for name, environment in surroundings.items():
            built = depot.build(cwd=context, DEPOT_TOKEN="", DEPOT_PROJECT_ID=trust.project, **environment)
            assert built.code == 0, (name, built.output)


def test_one_token_serves_all_calls_of_a_build_and_nothing_else(trust: Trust) -> None:
    token = trust.token()
    build = trust.create(token).body["buildId"]
    recorded = trust.server.query("select begun_by_kind, begun_by_id, begun_by_name from builds where id = ?", build)
    assert recorded == [("OIDC token", trust.policy, f"github {trust.owner}/app")]
    assert trust.server.call("depot.cli.v1.BuildService/GetBuild", {"buildId": build}, token=token).status == 200
    others = {
        "depot.core.v1.ProjectService/GetProject": {"projectId": trust.project},
        "depot.core.v1.ProjectService/ListProjects": {},
        "depot.core.v1.ProjectService/ResetProject": {"projectId": trust.project},
        "depot.core.v1.ProjectService/AddTrustPolicy": {"projectId": trust.project},
        "depot.cli.v1beta1.ProjectsService/ListProjects": {},
    }
    for method, request in others.items():
        assert trust.server.call(method, request, token=token).code == "permission_denied", method
    finish = {"buildId": build, "success": {}}
    assert trust.server.call("depot.build.v1.BuildService/FinishBuild", finish, token=token).status == 200


def test_an_untrusted_policy_makes_untrusted_builds_in_its_own_project_alone(trust: Trust) -> None:
    token, other = trust.token(), trust.server.new_project("for forks")
    untrusting = {"projectId": other, "provider": "github", "owner": trust.owner, "source": "app", "untrusted": True}
    assert trust.server.call("stoker.v1.TrustService/AddPolicy", untrusting).status == 200
    again = add_trust_policy(trust.server, other, github={"repositoryOwner": trust.owner, "repository": "app"})
    assert (again.code, "as untrusted" in again.message) == ("failed_precondition", True)
    marks = {
        project: trust.server.query(
            "select untrusted from builds where id = ?", trust.create(token, project).body["buildId"]
        )
        for project in (trust.project, other)
    }
    assert marks == {trust.project: [(0,)], other: [(1,)]}
    begun_by = "select distinct begun_by_id, begun_by_name from builds where project_id in (?, ?)"
    assert trust.server.query(begun_by, trust.project, other) == [("", f"github {trust.owner}/app")], (
        "the policy could be the other project's"
    )


def _as_hs256(trust: Trust) -> str:
    """Signed with a secret that everybody has: the public key."""
    key = trust.issuer.keys[-1]
    text = trust.issuer.unsigned({"alg": "HS256", "typ": "JWT", "kid": key.kid}, **trust.source).rstrip(".")
    secret = key.as_pem(private=False)
    signature = hmac.digest(secret, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _cut(trust: Trust) -> str:
    return trust.token()[:-20]


def _other_payload(trust: Trust) -> str:
    """Another's claims under a good signature."""
    header, _, signature = trust.token(repository=f"{trust.owner}/other").split(".")
    return ".".join((header, trust.token().split(".")[1], signature))


REFUSED: dict[str, tuple[Callable[[Trust], str], str]] = {
    "expired": (lambda trust: trust.token(exp=trust.issuer.claims()["iat"] - 60), "has expired"),
    "not valid yet": (lambda trust: trust.token(nbf=trust.issuer.claims()["iat"] + 120), "not valid yet"),
    "issued later": (lambda trust: trust.token(iat=trust.issuer.claims()["iat"] + 120), "not valid yet"),
    "for ever": (lambda trust: trust.token(exp=None), "no exp"),
    "without iat": (lambda trust: trust.token(iat=None), "no iat"),
    "odd exp": (lambda trust: trust.token(exp="later"), "no exp"),
    "wrong audience": (lambda trust: trust.token(aud="https://example.com"), "for the audience"),
    "several audiences": (lambda trust: trust.token(aud=["https://depot.dev", "https://a"]), "for the audience"),
    "no audience": (lambda trust: trust.token(aud=None), "for the audience"),
    "wrong issuer": (lambda trust: trust.token(iss="https://example.com"), "is not one that this server takes"),
    "issuer with a slash more": (lambda trust: trust.token(iss=trust.issuer.url + "/"), "is not one that"),
    "another's issuer": (
        lambda trust: trust.token(iss=trust.issuer.url.replace("github", "enterprise")),
        "can't be verified",
    ),
    "alg none": (
        lambda trust: trust.issuer.unsigned({"alg": "none", "kid": trust.issuer.keys[-1].kid}, **trust.source),
        'signed with "none"',
    ),
    "HS256 with the public key": (_as_hs256, 'signed with "HS256"'),
    "unknown kid": (lambda trust: trust.token(header={"kid": "unheard-of"}), "can't be verified"),
    "no kid": (lambda trust: trust.token(header={"kid": ""}), "which key"),
    "cut": (_cut, "can't be verified"),
    "other payload": (_other_payload, "can't be verified"),
    "too long": (lambda trust: trust.token(padding="x" * 11_000), "longer than"),
    "no JSON": (lambda _: "e30.e30xx.e30", "damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_good_token_is_refused(trust: Trust, case: str) -> None:
    make, says = REFUSED[case]
    answer = trust.create(make(trust))
    assert (answer.code, says in answer.message) == ("unauthenticated", True), answer
    assert trust.create(trust.token()).status == 200


def test_a_rotated_key_is_found_and_the_old_one_is_not_taken_any_more(trust: Trust) -> None:
    before = trust.token()
    assert trust.create(before).status == 200
    trust.issuer.rotate()
    assert trust.create(trust.token()).status == 200
    assert trust.create(before).code == "unauthenticated"


@pytest.mark.parametrize(
    "claims",
    [
        {"repository": "acme/other"},
        {"repository_owner": "someone"},
        {"repository": None},
        {"repository_owner": None},
        {"repository": ""},
        {"repository": ["acme/app"]},
        {"repository": {"acme": "app"}},
    ],
)
def test_a_good_token_from_elsewhere_opens_nothing(trust: Trust, claims: dict[str, object]) -> None:
    answer = trust.create(trust.token(**claims))
    assert answer.code == "permission_denied"
    assert answer.message.startswith("no project trusts repository_owner ")


def test_github_names_are_the_same_in_every_case(trust: Trust) -> None:
    assert trust.create(trust.token(repository_owner=trust.owner.upper())).status == 200
    assert trust.create(trust.token(repository=f"{trust.owner}/APP")).status == 200
    kelvin = trust.token(repository_owner=trust.owner.replace("c", "\N{ROMAN NUMERAL ONE HUNDRED}"))
    assert trust.create(kelvin).code == "permission_denied"


def test_a_token_is_for_the_projects_whose_policies_name_it(trust: Trust) -> None:
    untrusting = trust.server.new_project("untrusting")
    build, _ = trust.server.new_build(untrusting)
    token = trust.token()
    assert trust.create(token, untrusting).code == "not_found"
    assert trust.server.call("depot.cli.v1.BuildService/GetBuild", {"buildId": build}, token=token).code == "not_found"
    assert trust.create(token, "").body["buildId"], "with one project there is no need to name it"

    second = trust.server.new_project("second")
    add_trust_policy(trust.server, second, github={"repositoryOwner": trust.owner, "repository": "app"})
    assert trust.create(token, second).status == 200
    assert trust.create(token).status == 200
    assert trust.create(token, untrusting).code == "not_found"
    assert trust.create(token, "").code == "invalid_argument"


def test_a_removed_policy_or_project_lets_nobody_in(trust: Trust) -> None:
    token = trust.token()
    assert trust.create(token).status == 200
    removal = {"projectId": trust.project, "trustPolicyId": trust.policy}
    assert trust.server.call(f"{POLICIES}/RemoveTrustPolicy", removal).status == 200
    assert trust.create(token).code == "permission_denied"
    assert trust.server.call(f"{POLICIES}/RemoveTrustPolicy", removal).code == "not_found"

    add_trust_policy(trust.server, trust.project, github={"repositoryOwner": trust.owner, "repository": "app"})
    assert trust.create(token).status == 200
    assert trust.server.call(f"{POLICIES}/DeleteProject", {"projectId": trust.project}).status == 200
    assert trust.create(token).code == "permission_denied"


def test_buildkite_and_circleci(oidc_server: Server, host: IssuerHost) -> None:
    project = oidc_server.new_project("three")
    add_trust_policy(oidc_server, project, buildkite={"organizationSlug": "acme", "pipelineSlug": "app"})
    add_trust_policy(
        oidc_server, project, circleci={"organizationUuid": ORGANIZATION.upper(), "projectUuid": PROJECT_UUID}
    )
    buildkite, circleci = host.issuers["buildkite"], host.issuers[f"circleci/org/{ORGANIZATION}"]

    def code(token: str) -> str | None:
        return oidc_server.call(CREATE, {"projectId": project}, token=token).code

    assert code(buildkite.token(organization_slug="acme", pipeline_slug="app")) is None
    assert code(buildkite.token(organization_slug="ACME", pipeline_slug="app")) == "permission_denied"
    assert code(buildkite.token(organization_slug="acme")) == "permission_denied"
    assert code(circleci.token(**{"oidc.circleci.com/project-id": PROJECT_UUID})) is None
    assert code(circleci.token(**{"oidc.circleci.com/project-id": ORGANIZATION})) == "permission_denied"
    elsewhere = ORGANIZATION.replace("1", "2")
    stranger = host.add(f"circleci/org/{elsewhere}", audience=elsewhere)
    assert code(stranger.token(**{"oidc.circleci.com/project-id": PROJECT_UUID})) == "unauthenticated"
    assert not stranger.asked.is_set(), "an issuer that nobody trusts is not even asked for its keys"


def test_providers_of_the_settings(trust: Trust, host: IssuerHost) -> None:
    gitlab, enterprise = host.issuers["gitlab"], host.issuers["enterprise"]
    in_gitlab = {"namespace_path": "group/sub", "project_path": "group/sub/app"}
    assert trust.create(gitlab.token(**in_gitlab)).status != 200
    wanted = {"repositoryOwner": "gitlab:group/sub", "repository": "app"}
    added = add_trust_policy(trust.server, trust.project, github=wanted)
    assert added.body["trustPolicy"]["github"] == wanted
    assert trust.create(gitlab.token(**in_gitlab)).status == 200
    assert trust.create(gitlab.token(**in_gitlab, header={"alg": "ES256", "typ": "JWT"})).status == 200

    same_name = enterprise.token(**trust.source)
    assert trust.create(same_name).code == "unauthenticated", "github.com's names are not the company's own"
    wanted = {"repositoryOwner": f"enterprise:{trust.owner}", "repository": "app"}
    add_trust_policy(trust.server, trust.project, github=wanted)
    assert trust.create(same_name).status == 200
    other_algorithm = Issuer(enterprise.url, algorithm="ES256").token(**trust.source)
    assert "signs with RS256" in trust.create(other_algorithm).message


def test_an_issuer_that_is_down_or_slow_breaks_no_other_login(trust: Trust, host: IssuerHost) -> None:
    slow, down = host.issuers["slow"], host.issuers["down"]
    # The same issuers answer servers on each database, one after the other.
    slow.asked.clear()
    slow.released.clear()
    for name in ("slow", "down"):
        wanted = {"repositoryOwner": f"{name}:{trust.owner}", "repository": "app"}
        assert add_trust_policy(trust.server, trust.project, github=wanted).status == 200
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(trust.create, slow.token(**trust.source)) for _ in range(8)]
        assert slow.asked.wait(20)
        answer = trust.create(down.token(**trust.source))
        assert (answer.code, down.url in answer.message) == ("unavailable", True)
        assert trust.create(trust.token()).status == 200
        assert trust.server.call(CREATE, {"projectId": trust.project}).status == 200
        assert not any(call.done() for call in waiting)
        slow.released.set()
        assert [call.result().status for call in waiting] == [200] * 8
    down.serve = "keys"
    token = down.token(**trust.source)
    assert trust.create(token).status == 200
    down.serve = "down"
    assert trust.create(token).status == 200, "the keys that are known are still good"
    assert trust.create(down.token(header={"kid": "new"}, **trust.source)).code == "unavailable"


def test_policies_of_several_organizations(trust: Trust) -> None:
    """Another organization that trusts the same repository takes nothing from this one."""
    organization, project = asyncio.run(_in_another_organization(trust))
    token, own = trust.token(), trust.server.first["DEPOT_ORG_ID"]
    assert trust.create(token).status == 200
    assert trust.create(token, project).status == 200
    assert trust.create(token, "").code == "invalid_argument"
    assert trust.create(token, "", **{"x-depot-org": organization}).status == 200
    assert trust.create(token, **{"x-depot-org": own}).status == 200
    assert trust.create(token, **{"x-depot-org": organization}).code == "not_found"
    assert trust.create(token, project, **{"x-depot-org": own}).code == "not_found"
    unknown = trust.create(token, **{"x-depot-org": "0000000000000000"})
    assert unknown.code == "permission_denied"


async def _in_another_organization(trust: Trust) -> tuple[str, str]:
    clock, randomness = SystemClock(), SystemRandomness()
    now = clock.now()
    organization = Organization(new_id(clock, randomness), "another", now)
    project = Project(
        new_id(clock, randomness), organization.id, "theirs", "us-east-1", DEFAULT_HARDWARE, CachePolicy(), now
    )
    policy = TrustPolicy(
        id=new_id(clock, randomness),
        project_id=project.id,
        provider="github",
        kind=ProviderKind.GITHUB,
        issuer=trust.issuer.url,
        owner=trust.owner,
        source="app",
        created_at=now - timedelta(days=1),
    )
    database = trust.server.open_database()
    async with database.write() as tx:
        await add_organization(tx, organization)
        await add_project(tx, project)
        await add_policy(tx, policy)
    await database.close()
    return organization.id, project.id


def test_policies_are_listed_as_they_were_added_and_only_once(oidc_server: Server) -> None:
    project = oidc_server.new_project("listed")
    wanted: list[dict[str, dict[str, str]]] = [
        {"github": {"repositoryOwner": "Acme", "repository": "App"}},
        {"buildkite": {"organizationSlug": "acme", "pipelineSlug": "app"}},
        {"circleci": {"organizationUuid": ORGANIZATION, "projectUuid": PROJECT_UUID}},
    ]
    first = [add_trust_policy(oidc_server, project, **one).body["trustPolicy"] for one in wanted]
    again = [add_trust_policy(oidc_server, project, **one).body["trustPolicy"] for one in wanted]
    other_case = {"repositoryOwner": "acme", "repository": "acme/app"}
    assert add_trust_policy(oidc_server, project, github=other_case).body["trustPolicy"] == first[0]
    assert first == again
    listed = oidc_server.call(f"{POLICIES}/ListTrustPolicies", {"projectId": project}).body["trustPolicies"]
    assert listed == first
    assert [{name: one[name] for name in one if name != "trustPolicyId"} for one in listed] == wanted


@pytest.mark.parametrize(
    ("provider", "says"),
    [
        ({}, "provider is not given"),
        ({"github": {}}, "repository_owner is empty"),
        ({"github": {"repositoryOwner": "acme"}}, "repository is empty"),
        ({"github": {"repositoryOwner": "acme", "repository": "*"}}, "patterns are not supported"),
        ({"github": {"repositoryOwner": "acme", "repository": "someone/app"}}, "use one owner"),
        ({"github": {"repositoryOwner": "nobody:acme", "repository": "app"}}, "not an OIDC provider of this server"),
        ({"github": {"repositoryOwner": "a" * 1000, "repository": "app"}}, "can't be right"),
        ({"buildkite": {"organizationSlug": "acme"}}, "pipeline_slug is empty"),
        ({"buildkite": {"organizationSlug": "a\nb", "pipelineSlug": "app"}}, "can't be right"),
        ({"circleci": {"organizationUuid": "acme", "projectUuid": PROJECT_UUID}}, "give a UUID"),
    ],
)
def test_a_policy_that_can_t_be_right_is_refused(oidc_server: Server, provider: dict[str, Any], says: str) -> None:
    answer = add_trust_policy(oidc_server, oidc_server.project, **provider)
    assert answer.code == "invalid_argument"
    assert says in answer.message


def test_no_oidc_token_is_stored_or_logged(trust: Trust) -> None:
    token = trust.token()
    assert trust.create(token).status == 200
    signature = token.rpartition(".")[2].encode()
    assert signature not in trust.server.stored()
    for path in trust.server.data.rglob("*.log"):
        assert signature not in path.read_bytes()


OWN_BUILDS = "stoker.v1.BuildService"


def origin_of(server: Server, build: str) -> dict[str, Any]:
    return server.call(f"{OWN_BUILDS}/GetBuild", {"buildId": build}).body["build"].get("origin", {})


def test_the_origin_of_a_build_is_what_the_real_claims_of_each_ci_say(oidc_server: Server, host: IssuerHost) -> None:
    project = oidc_server.new_project("four CIs")
    for trusted in (
        {"github": {"repositoryOwner": "acme", "repository": "webshop"}},
        {"github": {"repositoryOwner": "gitlab:acme/shop", "repository": "webshop"}},
        {"buildkite": {"organizationSlug": "acme", "pipelineSlug": "webshop"}},
        {"circleci": {"organizationUuid": ORGANIZATION, "projectUuid": ci_tokens.PROJECT}},
    ):
        assert add_trust_policy(oidc_server, project, **trusted).status == 200
    issuers = host.issuers
    tokens = {
        "github": issuers["github"].token(**ci_tokens.GITHUB),
        "github pull request": issuers["github"].token(**ci_tokens.GITHUB_PULL_REQUEST),
        "gitlab": issuers["gitlab"].token(**ci_tokens.GITLAB),
        "gitlab merge request": issuers["gitlab"].token(**ci_tokens.GITLAB_MERGE_REQUEST),
        "buildkite": issuers["buildkite"].token(**ci_tokens.BUILDKITE),
        "circleci": issuers[f"circleci/org/{ORGANIZATION}"].token(**ci_tokens.CIRCLECI),
    }
    found: dict[str, tuple[object, ...]] = {}
    for name, token in tokens.items():
        created = oidc_server.call(CREATE, {"projectId": project}, token=token)
        assert created.status == 200, (name, created)
        origin = origin_of(oidc_server, created.body["buildId"])
        run = origin["ciRun"]
        found[name] = (
            origin["summary"],
            *(origin.get(part, "") for part in ("repository", "branch", "pullRequest", "revision")),
            *(run.get(part, "") for part in ("provider", "number", "workflow")),
        )
        # Only people are shown people, and an issuer on loopback has no web pages.
        assert not {"actor", "url"} & set(run), run
    sha, workflow = ci_tokens.SHA, ci_tokens.WORKFLOW[:8]
    app, shop = "acme/webshop", "acme/shop/webshop"
    assert found == {
        "github": ("main @ 2475601 · GitHub run #812", app, "main", "", sha, "github", "812", "CI"),
        "github pull request": (
            *("#12 fix/login @ 2475601 · GitHub run #812", app, "fix/login", "12", sha),
            *("github", "812", "CI"),
        ),
        "gitlab": ("main @ 2475601 · GitLab pipeline #4711", shop, "main", "", sha, "gitlab", "4711", ""),
        "gitlab merge request": (
            *("#7 fix/login @ 2475601 · GitLab pipeline #4711", shop, "fix/login", "7", sha),
            *("gitlab", "4711", ""),
        ),
        "buildkite": ("main @ 2475601 · Buildkite build #93", "", "main", "", sha, "buildkite", "93", app),
        "circleci": (
            *(f"main · CircleCI workflow {workflow}", f"github.com/{app}", "main", "", ""),
            *("circleci", workflow, ""),
        ),
    }
    actors = oidc_server.query(
        "select ci_actor from build_origins o join builds b on b.id = o.build_id where b.project_id = ? order by b.id",
        project,
    )
    assert actors == [("ada",)] * 4 + [("",)] * 2


def test_what_a_client_sends_never_replaces_a_claim(trust: Trust, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo built"))
    git = ["git", "-c", "user.name=eve", "-c", "user.email=eve@example.com"]
    for arguments in (
        ["init", "--quiet", "--initial-branch=lies"],
        ["remote", "add", "origin", "https://github.com/evil/fork.git"],
        ["add", "Dockerfile"],
        ["commit", "--quiet", "--message=lies"],
    ):
        subprocess.run([*git, *arguments], cwd=context, check=True)
    claims = ci_tokens.GITHUB_PULL_REQUEST | trust.source
    depot = Depot(trust.server, tmp_path)
    labels = ("--label", "org.opencontainers.image.revision=" + 40 * "f")
    built = depot.build(
        *labels, "--target", "base", cwd=context, DEPOT_TOKEN=trust.token(**claims), DEPOT_PROJECT_ID=trust.project
    )
    assert built.code == 0, built.output
    ((build, _, _),) = trust.server.builds(trust.project)
    origin = origin_of(trust.server, build)
    assert origin["repository"] == f"{trust.owner}/app"
    assert (origin["revision"], origin["branch"], origin["pullRequest"]) == (ci_tokens.SHA, "fix/login", "12")
    assert origin["labels"] == {"org.opencontainers.image.revision": 40 * "f"}
    assert origin["targets"] == ["base"]
