"""Which repository an address names, and which web pages it has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.git_addresses import (
    NO_REPOSITORY,
    Forge,
    GitRef,
    Repository,
    WebPages,
    forge_of,
    parse_ref,
    parse_repository,
    parse_revision,
    repository_at,
)

SHA = "2475601" + "0" * 33


@pytest.mark.parametrize(
    ("address", "host", "path"),
    [
        ("https://github.com/acme/webshop.git", "github.com", "acme/webshop"),
        ("https://ada:s3cret@GitHub.com/acme/webshop", "github.com", "acme/webshop"),
        ("git@github.com:acme/webshop.git", "github.com", "acme/webshop"),
        ("ssh://git@gitlab.example.com:2222/group/sub/app.git", "gitlab.example.com", "group/sub/app"),
        ("github.com/acme/webshop", "github.com", "acme/webshop"),
        ("git://example.com/x.git", "example.com", "x"),
    ],
)
def test_addresses_of_repositories(address: str, host: str, path: str) -> None:
    assert parse_repository(address) == Repository(host, path)


@pytest.mark.parametrize(
    "address",
    [
        "",
        ".",
        "/srv/git/app.git",
        "../app",
        "file:///srv/git/app.git",
        "javascript://github.com/acme/webshop",
        "https://github.com/../../etc",
        "https://github.com/",
        "https://[bad/acme/webshop",
        "https://github.com/acme/<script>",
        "https://exa mple.com/acme/webshop",
        "git@github.com:" + "x" * 600,
    ],
)
def test_what_is_no_address_of_a_repository(address: str) -> None:
    assert parse_repository(address) == NO_REPOSITORY


@pytest.mark.parametrize(
    ("text", "revision", "is_dirty"),
    [
        (SHA, SHA, False),
        (f"{SHA}-dirty", SHA, True),
        ("ABCDEF0", "abcdef0", False),
        ("2475601", "2475601", False),
        ("HEAD", "", False),
        ("main", "", False),
        ("", "", False),
    ],
)
def test_commits(text: str, revision: str, is_dirty: bool) -> None:
    assert parse_revision(text) == (revision, is_dirty)


@pytest.mark.parametrize(
    ("ref", "parsed"),
    [
        ("refs/heads/main", GitRef(branch="main")),
        ("refs/heads/feature/x", GitRef(branch="feature/x")),
        ("refs/tags/v1.4.5", GitRef(tag="v1.4.5")),
        ("refs/pull/12/merge", GitRef(pull_request="12")),
        ("refs/merge-requests/7/head", GitRef(pull_request="7")),
        ("refs/pull/x/merge", GitRef()),
        ("main", GitRef()),
    ],
)
def test_refs(ref: str, parsed: GitRef) -> None:
    assert parse_ref(ref) == parsed


def test_web_pages_of_each_forge() -> None:
    pages = {
        forge: WebPages(Repository("git.example.com", "acme/webshop"), forge)
        for forge in (Forge.GITHUB, Forge.GITLAB, Forge.BITBUCKET)
    }
    root = "https://git.example.com/acme/webshop"
    assert {one.root for one in pages.values()} == {root}
    assert [one.commit(SHA) for one in pages.values()] == [
        f"{root}/commit/{SHA}",
        f"{root}/-/commit/{SHA}",
        f"{root}/commits/{SHA}",
    ]
    assert [one.ref(GitRef(branch="feature/ü x")) for one in pages.values()] == [
        f"{root}/tree/feature/%C3%BC%20x",
        f"{root}/-/tree/feature/%C3%BC%20x",
        f"{root}/src/feature/%C3%BC%20x",
    ]
    assert [one.ref(GitRef(branch="x", pull_request="12")) for one in pages.values()] == [
        f"{root}/pull/12",
        f"{root}/-/merge_requests/12",
        f"{root}/pull-requests/12",
    ]


def test_without_a_known_host_there_are_no_pages() -> None:
    for repository in (NO_REPOSITORY, repository_at("", "acme/webshop"), repository_at("evil.example", "acme/x")):
        pages = WebPages(repository, forge_of(repository.host))
        assert (pages.root, pages.commit(SHA), pages.ref(GitRef(branch="main"))) == ("", "", "")
    known = WebPages(Repository("github.com", "acme/webshop"), Forge.GITHUB)
    assert known.commit('"><script>') == ""


@given(st.text(max_size=200))
def test_any_text_is_an_address_or_none(text: str) -> None:
    found = parse_repository(text)
    root = WebPages(found, forge_of(found.host)).root
    assert not root or root.startswith(("https://github.com/", "https://gitlab.com/", "https://bitbucket.org/"))
