"""What is kept of what clients send, and that it never replaces a claim."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.build_origins import (
    LONGEST_NAME,
    MOST_NAMES,
    NO_ORIGIN,
    BuildOrigin,
    CiRun,
    CommitSource,
    merged,
    origin_labels,
    origin_names,
    origin_tags,
    origin_text,
    searchable_text,
)
from stoker.domain.git_addresses import GitRef, Repository
from stoker.domain.sent_origins import RequestedTarget, SolveExport, origin_of_request, origin_of_solve
from stoker.domain.trust_policies import ProviderKind

SHA, OTHER = "2475601" + "0" * 33, "f" * 40
CLAIMED = BuildOrigin(
    commit=CommitSource(Repository("github.com", "acme/webshop"), GitRef(branch="main"), SHA),
    run=CiRun(ProviderKind.GITHUB, "github.com", "812", "CI", "ada", "https://github.com/acme/webshop/actions/runs/9"),
)
LIES = {
    "vcs:source": "https://github.com/evil/fork",
    "vcs:revision": OTHER,
    "context": f"https://github.com/evil/fork.git#{OTHER}",
    "label:org.opencontainers.image.source": "https://github.com/evil/fork",
}


def target(name: str = "", *tags: str, pushes: bool = False, loads: bool = False) -> RequestedTarget:
    return RequestedTarget(name, tags, (), pushes, loads)


def image(name: str, **attributes: str) -> SolveExport:
    return SolveExport("image", {"name": name, **attributes})


def test_what_a_client_sends_never_replaces_a_claim() -> None:
    sent = origin_of_solve("", LIES, [image("acme/webshop:1")])
    both = merged(CLAIMED, sent)
    assert (both.commit, both.run) == (CLAIMED.commit, CLAIMED.run)
    assert both.tags == ("acme/webshop:1",)


def test_a_client_can_not_make_a_claimed_pull_request_a_branch() -> None:
    claimed = replace(CLAIMED, commit=replace(CLAIMED.commit, ref=GitRef()))
    sent = origin_of_solve("", {"context": "https://github.com/acme/webshop.git#refs/heads/main"}, [])
    assert merged(claimed, sent).commit.ref == GitRef()
    assert merged(NO_ORIGIN, sent).commit.ref == GitRef(branch="main")


def test_what_claims_leave_open_is_filled() -> None:
    run = CiRun(ProviderKind.BUILDKITE, number="93")
    claimed = BuildOrigin(commit=CommitSource(ref=GitRef(branch="main")), run=run)
    sent = origin_of_solve("", {"vcs:source": "git@github.com:acme/webshop.git", "vcs:revision": f"{SHA}-dirty"}, [])
    assert merged(claimed, sent).commit == CommitSource(
        Repository("github.com", "acme/webshop"), GitRef(branch="main"), SHA, is_dirty=True
    )


def test_a_claimed_commit_is_dirty_only_if_the_client_says_so_of_that_commit() -> None:
    said = {SHA: True, OTHER: False}
    for revision, is_dirty in said.items():
        sent = origin_of_solve("", {"vcs:revision": f"{revision}-dirty"}, [])
        assert merged(CLAIMED, sent).commit.is_dirty == is_dirty


def test_a_bake_of_three_targets() -> None:
    request = origin_of_request(
        "bake", [target("web", "acme/web:1", pushes=True), target("lint"), target("api", "ghcr.io/acme/api:1")]
    )
    assert (request.command, request.targets) == ("bake", ("web", "lint", "api"))
    assert (request.tags, request.outputs) == (("acme/web:1", "ghcr.io/acme/api:1"), ("push",))
    solves = [
        origin_of_solve(
            "", {"target": "stage", "filename": "Dockerfile"}, [image("docker.io/acme/web:1", push="true")]
        ),
        origin_of_solve("", {"filename": "api.Dockerfile"}, [image("ghcr.io/acme/api:1")]),
    ]
    all_ = request
    for solve in solves:
        all_ = merged(all_, solve)
    assert all_ == replace(request, dockerfiles=("Dockerfile", "api.Dockerfile"))


def test_a_build_for_two_platforms_has_the_tags_it_was_asked_for() -> None:
    request = origin_of_request("build", [target("", "acme/web:1", "ghcr.io/acme/web:1", pushes=True)])
    by_digest = {"push": "true", "push-by-digest": "true"}
    solve = origin_of_solve("", {}, [image("docker.io/acme/web,ghcr.io/acme/web", **by_digest)])
    assert merged(request, solve).tags == ("acme/web:1", "ghcr.io/acme/web:1")
    assert merged(NO_ORIGIN, solve).tags == ("acme/web", "ghcr.io/acme/web")


@pytest.mark.parametrize(
    ("frontend", "attributes", "dockerfiles"),
    [
        ("dockerfile.v0", {}, ("Dockerfile",)),
        ("", {}, ()),
        ("gateway.v0", {"source": "docker/dockerfile"}, ()),
        ("", {"filename": "web.Dockerfile"}, ("web.Dockerfile",)),
        ("", {"filename": "Dockerfile", "vcs:localdir:dockerfile": "services/web"}, ("services/web/Dockerfile",)),
        ("", {"filename": "Dockerfile", "vcs:localdir:dockerfile": "."}, ("Dockerfile",)),
    ],
)
def test_the_dockerfile_of_a_solve(frontend: str, attributes: dict[str, str], dockerfiles: tuple[str, ...]) -> None:
    assert origin_of_solve(frontend, attributes, []).dockerfiles == dockerfiles


@pytest.mark.parametrize(
    ("context", "ref", "revision"),
    [
        ("https://github.com/acme/webshop.git#refs/pull/12/merge", GitRef(pull_request="12"), ""),
        ("https://github.com/acme/webshop.git#v2:docker", GitRef(branch="v2"), ""),
        (f"https://github.com/acme/webshop.git#{SHA}", GitRef(), SHA),
        ("https://github.com/acme/webshop.git", GitRef(), ""),
        ("https://x:token@github.com/acme/webshop.git?ref=x", GitRef(), ""),
    ],
)
def test_a_context_that_is_a_repository(context: str, ref: GitRef, revision: str) -> None:
    commit = origin_of_solve("dockerfile.v0", {"context": context}, []).commit
    assert commit == CommitSource(Repository("github.com", "acme/webshop"), ref, revision)


@pytest.mark.parametrize("context", ["", ".", "input:base", "https://example.com/context.tar.gz", "-#x"])
def test_other_contexts_are_no_repositories(context: str) -> None:
    assert origin_of_solve("dockerfile.v0", {"context": context}, []).commit == CommitSource()


def test_labels_tell_the_commit_where_nothing_else_does() -> None:
    labels = {
        "label:org.opencontainers.image.source": "https://github.com/acme/webshop",
        "label:org.opencontainers.image.revision": SHA,
        "label:team": "shop",
    }
    origin = origin_of_solve("", labels, [])
    assert origin.commit == CommitSource(Repository("github.com", "acme/webshop"), revision=SHA)
    assert dict(origin.labels) == {name.removeprefix("label:"): value for name, value in labels.items()}


def test_everything_is_bounded() -> None:
    many = [f"{number}/" + "x" * 10_000 for number in range(10_000)]
    attributes = {
        "target": "t" * 10_000,
        "filename": "f" * 10_000,
        **{f"label:{number:05}": "v" * 10_000 for number in range(500)},
    }
    solve = origin_of_solve("", attributes, [image(name) for name in many])
    request = origin_of_request("c" * 10_000, [target(name, *many) for name in many])
    origin = merged(request, solve)
    for texts in (origin.tags, origin.targets, origin.outputs, origin.dockerfiles):
        assert len(texts) <= MOST_NAMES
        assert all(len(text) <= LONGEST_NAME for text in texts)
    assert len(origin.labels) <= MOST_NAMES
    assert all(len(part) <= LONGEST_NAME for label in origin.labels for part in label)
    assert len(origin.command) <= LONGEST_NAME
    assert merged(origin, solve) == origin


def test_secrets_are_masked() -> None:
    assert origin_text("https://ada:s3cret@example.com/x") == "https://ada:***@example.com/x"
    assert origin_labels({"npm_token": "s3cret", "note": "API_KEY=s3cret"}) == (
        ("note", "API_KEY=***"),
        ("npm_token", "***"),
    )
    assert "s3cret" not in str(origin_of_solve("", {"vcs:source": "https://ada:s3cret@github.com/acme/webshop"}, []))


@given(st.text(max_size=300))
def test_what_is_kept_is_one_line_without_controls(text: str) -> None:
    kept = origin_text(text)
    assert kept.isprintable()
    kept.encode()
    assert all(one.isprintable() for one in origin_names([text]))


@pytest.mark.parametrize("value", [None, True, 1.5, ["x"], {"x": "y"}])
def test_what_is_no_text_is_empty(value: object) -> None:
    assert origin_text(value) == ""
    assert origin_text(812) == "812"
    assert origin_text("\ud800") == "\N{REPLACEMENT CHARACTER}"


def test_docker_hub_is_left_out_of_tags() -> None:
    names = ["docker.io/acme/web:1", "docker.io/library/redis:7", "acme/web:1", "ghcr.io/acme/web:1"]
    assert origin_tags(names) == ("acme/web:1", "redis:7", "ghcr.io/acme/web:1")


def test_a_search_finds_everything_but_people() -> None:
    origin = merged(CLAIMED, origin_of_solve("", {"target": "lint", "label:team": "shop"}, [image("acme/web:1")]))
    text = searchable_text(origin, "acme/web:1")
    for word in ("acme/web:1", "lint", "team=shop", "github.com/acme/webshop", SHA, "main", "#812", "CI", "github"):
        assert word in text
    assert "ada" not in text
