"""What builds are called."""

from __future__ import annotations

import pytest

from stoker.domain.audit import Party
from stoker.domain.build_origins import NO_ORIGIN, BuildOrigin, CiRun, CommitSource
from stoker.domain.build_titles import LONGEST_TITLE, origin_line, origin_pieces, title_of, who_began
from stoker.domain.git_addresses import GitRef, Repository
from stoker.domain.trust_policies import ProviderKind

SHA = "2475601" + "0" * 33
WEBSHOP = Repository("github.com", "acme/webshop")
RUN = CiRun(ProviderKind.GITHUB, "github.com", "812", "CI", "ada", "https://github.com/acme/webshop/actions/runs/9")


@pytest.mark.parametrize(
    ("origin", "title"),
    [
        (BuildOrigin(tags=("acme/webshop:1.4.5", "acme/webshop:latest"), targets=("web",)), "acme/webshop:1.4.5"),
        (BuildOrigin(tags=("ghcr.io/acme/webshop:1.4.5",)), "acme/webshop:1.4.5"),
        (BuildOrigin(tags=("localhost:5000/webshop",)), "webshop"),
        (BuildOrigin(tags=("registry.example.com:5000/team/app:1@sha256:0f",)), "team/app:1"),
        (BuildOrigin(tags=("webshop:1",)), "webshop:1"),
        (BuildOrigin(tags=("example.com",)), "example.com"),
        (BuildOrigin(command="bake", targets=("web", "lint")), "bake: web, lint"),
        (BuildOrigin(command="bake", targets=("a", "b", "c", "d", "e")), "bake: a, b, c and 2 more"),
        (BuildOrigin(command="bake", tags=("acme/web:1",), targets=("web",)), "acme/web:1"),
        (BuildOrigin(command="bake"), "bake"),
        (BuildOrigin(command="build", targets=("lint",), dockerfiles=("Dockerfile",)), "target lint"),
        (BuildOrigin(targets=("web", "lint")), "targets web, lint"),
        (BuildOrigin(command="build", dockerfiles=("services/web/Dockerfile",)), "services/web/Dockerfile"),
        (BuildOrigin(command="build"), ""),
        (NO_ORIGIN, ""),
    ],
)
def test_titles(origin: BuildOrigin, title: str) -> None:
    assert title_of(origin) == title


def test_a_title_is_bounded() -> None:
    assert len(title_of(BuildOrigin(targets=("x" * 256, "y" * 256)))) == LONGEST_TITLE


@pytest.mark.parametrize(
    ("origin", "who", "line"),
    [
        (
            BuildOrigin(commit=CommitSource(WEBSHOP, GitRef(branch="main"), SHA), run=RUN),
            "ada",
            "main @ 2475601 · GitHub run #812 · ada",
        ),
        (
            BuildOrigin(commit=CommitSource(WEBSHOP, GitRef(branch="fix-x", pull_request="12"), SHA), run=RUN),
            "",
            "#12 fix-x @ 2475601 · GitHub run #812",
        ),
        (BuildOrigin(commit=CommitSource(ref=GitRef(tag="v1"))), "", "v1"),
        (BuildOrigin(commit=CommitSource(WEBSHOP, revision=SHA, is_dirty=True)), "ada", "@ 2475601 (modified) · ada"),
        (BuildOrigin(commit=CommitSource(WEBSHOP)), "", "acme/webshop"),
        (BuildOrigin(run=CiRun(ProviderKind.GITLAB, number="4711")), "", "GitLab pipeline #4711"),
        (BuildOrigin(run=CiRun(ProviderKind.BUILDKITE, number="93")), "", "Buildkite build #93"),
        (BuildOrigin(run=CiRun(ProviderKind.CIRCLECI, number="0f1e2d3c")), "", "CircleCI workflow 0f1e2d3c"),
        (BuildOrigin(run=CiRun(ProviderKind.CIRCLECI)), "", "CircleCI"),
        (NO_ORIGIN, "ada@example.com", "ada@example.com"),
        (NO_ORIGIN, "", ""),
    ],
)
def test_the_line_below_a_title(origin: BuildOrigin, who: str, line: str) -> None:
    assert origin_line(origin, who) == line


def test_its_links_lead_to_the_ref_the_commit_and_the_run() -> None:
    pieces = origin_pieces(BuildOrigin(commit=CommitSource(WEBSHOP, GitRef(branch="main"), SHA), run=RUN), "ada")
    root = "https://github.com/acme/webshop"
    assert [piece.url for piece in pieces] == [f"{root}/tree/main", f"{root}/commit/{SHA}", RUN.url, ""]


def test_links_of_an_enterprise_lead_to_its_own_host_and_those_of_clients_to_well_known_ones() -> None:
    own = Repository("git.example.com", "acme/webshop")
    commit = CommitSource(own, GitRef(branch="main"), SHA)
    claimed = BuildOrigin(commit=commit, run=CiRun(ProviderKind.GITLAB, "git.example.com", "1"))
    assert origin_pieces(claimed)[1].url == f"https://git.example.com/acme/webshop/-/commit/{SHA}"
    for unverified in (
        BuildOrigin(commit=commit),
        BuildOrigin(commit=commit, run=CiRun(ProviderKind.BUILDKITE, "buildkite.com", "1")),
    ):
        assert {piece.url for piece in origin_pieces(unverified)} == {""}


def test_who_began_a_build() -> None:
    person = Party("person", "p1", "ada@example.com")
    token = Party("project token", "t1", "for CI")
    assert who_began(person, NO_ORIGIN) == "ada@example.com"
    assert who_began(token, NO_ORIGIN) == "project token for CI"
    assert who_began(Party("organization token", "t2", ""), NO_ORIGIN) == "organization token t2"
    assert who_began(None, NO_ORIGIN) == ""
    assert who_began(Party("OIDC token", "", "github acme/webshop"), BuildOrigin(run=RUN)) == "ada"
