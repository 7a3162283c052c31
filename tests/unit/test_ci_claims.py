"""The origin of a build by the real claims of four CIs."""

from __future__ import annotations

from typing import Any

import pytest

from stoker.domain.build_origins import BuildOrigin, CiRun, CommitSource
from stoker.domain.build_titles import origin_line, origin_pieces
from stoker.domain.ci_claims import origin_of_claims
from stoker.domain.git_addresses import GitRef, Repository
from stoker.domain.trust_policies import Provider, ProviderKind, VerifiedClaims
from tests.harness.ci_tokens import (
    BUILDKITE,
    CIRCLECI,
    GITHUB,
    GITHUB_PULL_REQUEST,
    GITLAB,
    GITLAB_MERGE_REQUEST,
    ORGANIZATION,
    SHA,
    WORKFLOW,
)

GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
CIRCLECI_ISSUER = f"https://oidc.circleci.com/org/{ORGANIZATION}"


def origin(kind: ProviderKind | None, issuer: str, claims: dict[str, Any], **changed: object) -> BuildOrigin:
    provider = Provider("test", kind, issuer, "https://depot.dev", ("RS256",))
    return origin_of_claims(VerifiedClaims(provider, issuer, claims | changed))


def test_github() -> None:
    found = origin(ProviderKind.GITHUB, GITHUB_ISSUER, GITHUB)
    root = "https://github.com/acme/webshop"
    assert found == BuildOrigin(
        commit=CommitSource(Repository("github.com", "acme/webshop"), GitRef(branch="main"), SHA),
        run=CiRun(ProviderKind.GITHUB, "github.com", "812", "CI", "ada", f"{root}/actions/runs/9876543210"),
    )
    assert origin_line(found, "ada") == "main @ 2475601 · GitHub run #812 · ada"
    again = origin(ProviderKind.GITHUB, GITHUB_ISSUER, GITHUB, run_attempt="2")
    assert again.run is not None
    assert again.run.url == f"{root}/actions/runs/9876543210/attempts/2"


def test_a_pull_request_at_github() -> None:
    found = origin(ProviderKind.GITHUB, GITHUB_ISSUER, GITHUB_PULL_REQUEST)
    assert found.commit.ref == GitRef(branch="fix/login", pull_request="12")
    assert origin_line(found) == "#12 fix/login @ 2475601 · GitHub run #812"
    assert origin_pieces(found)[0].url == "https://github.com/acme/webshop/pull/12"


@pytest.mark.parametrize(
    ("issuer", "host"),
    [
        (GITHUB_ISSUER + "/acme-corp", "github.com"),
        ("https://token.actions.acme.ghe.com", "acme.ghe.com"),
        ("https://github.example.com/_services/token", "github.example.com"),
        ("https://github.example.com/elsewhere", ""),
        ("http://127.0.0.1:8080/github", ""),
    ],
)
def test_hosts_of_github(issuer: str, host: str) -> None:
    found = origin(ProviderKind.GITHUB, issuer, GITHUB)
    assert found.commit.repository == Repository(host, "acme/webshop")
    assert found.run is not None
    assert found.run.url == (f"https://{host}/acme/webshop/actions/runs/9876543210" if host else "")


def test_gitlab() -> None:
    found = origin(ProviderKind.GITLAB, "https://gitlab.com", GITLAB)
    url = "https://gitlab.com/acme/shop/webshop/-/pipelines/4711"
    assert found == BuildOrigin(
        commit=CommitSource(Repository("gitlab.com", "acme/shop/webshop"), GitRef(branch="main"), SHA),
        run=CiRun(ProviderKind.GITLAB, "gitlab.com", "4711", "", "ada", url),
    )
    assert origin_line(found, "ada") == "main @ 2475601 · GitLab pipeline #4711 · ada"
    tag = origin(ProviderKind.GITLAB, "https://gitlab.com", GITLAB, ref="v1", ref_type="tag", ref_path="refs/tags/v1")
    assert tag.commit.ref == GitRef(tag="v1")
    own = origin(ProviderKind.GITLAB, "https://git.example.com:8443", GITLAB)
    assert origin_pieces(own)[1].url == f"https://git.example.com:8443/acme/shop/webshop/-/commit/{SHA}"


def test_a_merge_request_at_gitlab() -> None:
    found = origin(ProviderKind.GITLAB, "https://gitlab.com", GITLAB_MERGE_REQUEST)
    assert found.commit.ref == GitRef(branch="fix/login", pull_request="7")
    assert origin_pieces(found)[0].url == "https://gitlab.com/acme/shop/webshop/-/merge_requests/7"


def test_buildkite() -> None:
    found = origin(ProviderKind.BUILDKITE, "https://agent.buildkite.com", BUILDKITE)
    assert found == BuildOrigin(
        commit=CommitSource(ref=GitRef(branch="main"), revision=SHA),
        run=CiRun(
            ProviderKind.BUILDKITE,
            "buildkite.com",
            "93",
            "acme/webshop",
            "",
            "https://buildkite.com/acme/webshop/builds/93",
        ),
    )
    assert origin_line(found) == "main @ 2475601 · Buildkite build #93"
    unknown = origin(ProviderKind.BUILDKITE, "https://agent.buildkite.com", BUILDKITE, build_commit="HEAD")
    assert unknown.commit.revision == ""
    tag = origin(ProviderKind.BUILDKITE, "https://agent.buildkite.com", BUILDKITE, build_tag="v1")
    assert tag.commit.ref == GitRef(tag="v1")


def test_circleci() -> None:
    found = origin(ProviderKind.CIRCLECI, CIRCLECI_ISSUER, CIRCLECI)
    assert found == BuildOrigin(
        commit=CommitSource(Repository("github.com", "acme/webshop"), GitRef(branch="main")),
        run=CiRun(
            ProviderKind.CIRCLECI,
            "app.circleci.com",
            WORKFLOW[:8],
            url=f"https://app.circleci.com/pipelines/workflows/{WORKFLOW}",
        ),
    )
    assert origin_line(found) == f"main · CircleCI workflow {WORKFLOW[:8]}"


ALL = {
    ProviderKind.GITHUB: (GITHUB_ISSUER, GITHUB),
    ProviderKind.GITLAB: ("https://gitlab.com", GITLAB),
    ProviderKind.BUILDKITE: ("https://agent.buildkite.com", BUILDKITE),
    ProviderKind.CIRCLECI: (CIRCLECI_ISSUER, CIRCLECI),
}


@pytest.mark.parametrize("value", [None, True, 3.5, [], {}, "", "\ud800", "x" * 5000, '"><script>', "../..", "a b"])
@pytest.mark.parametrize("kind", ALL)
def test_no_claim_breaks_an_origin_or_leads_elsewhere(kind: ProviderKind, value: object) -> None:
    issuer, claims = ALL[kind]
    hosts = ("https://github.com/", "https://gitlab.com/", "https://buildkite.com/", "https://app.circleci.com/")
    for name in claims:
        found = origin(kind, issuer, claims, **{name: value})
        for piece in origin_pieces(found):
            assert piece.url == "" or piece.url.startswith(hosts)
            assert not set(piece.url) & set(" <>\"'\\")
            piece.text.encode()
    nothing = origin(kind, issuer, {}).run
    assert nothing is not None
    assert (nothing.number, nothing.actor, nothing.url) == ("", "", "")


def test_a_provider_of_people_says_nothing() -> None:
    assert origin(None, "https://login.example.com", GITHUB) == BuildOrigin()
