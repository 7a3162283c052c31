"""Addresses of git repositories, and the web pages of what is in them.

Clients write a repository as git does (https://git-scm.com/docs/git-clone#_git_urls). Credentials in it are dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlsplit

_LONGEST = 500
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::[0-9]{1,5})?(?:/[\w.~-]{1,100}){0,3}", re.ASCII)
_PATH = re.compile(r"[\w.~+-]{1,255}(?:/[\w.~+-]{1,255}){0,20}", re.ASCII)
_SCP = re.compile(r"(?:[\w.~+-]{1,64}@)?([A-Za-z0-9.-]{1,253}):(?!//)/?(.+)", re.ASCII)
_BARE = re.compile(r"([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)/(.+)", re.ASCII)
_REVISION = re.compile(r"[0-9a-f]{7,64}")
_SCHEMES = frozenset({"https", "http", "ssh", "git", "git+ssh", "git+https"})
_DIRTY = "-dirty"


class Forge(StrEnum):
    """How the web pages of a repository are addressed."""

    GITHUB = "github"
    GITLAB = "gitlab"
    BITBUCKET = "bitbucket"


# Where a client's own words may lead to. Other hosts are known from the issuer of a token alone.
_WELL_KNOWN = {"github.com": Forge.GITHUB, "gitlab.com": Forge.GITLAB, "bitbucket.org": Forge.BITBUCKET}


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository: ``github.com`` and ``acme/webshop``. The host is empty if it isn't known."""

    host: str = ""
    path: str = ""

    @property
    def full_name(self) -> str:
        """Both as one name, as far as they are known: ``github.com/acme/webshop``."""
        return "/".join(filter(None, (self.host, self.path)))


NO_REPOSITORY = Repository()


@dataclass(frozen=True, slots=True)
class GitRef:
    """What was checked out, as far as it is known: at most one of a branch and a tag, and perhaps a pull request."""

    branch: str = ""
    tag: str = ""
    pull_request: str = ""

    @property
    def is_known(self) -> bool:
        """Whether anything is known."""
        return bool(self.branch or self.tag or self.pull_request)


NO_REF = GitRef()


def parse_repository(address: str) -> Repository:
    """The repository of an address; `NO_REPOSITORY` for a folder, and for what is no address."""
    text = address.strip()
    if not text or len(text) > _LONGEST:
        return NO_REPOSITORY
    if "://" in text:
        try:
            parts = urlsplit(text)
            host, path = parts.hostname or "", parts.path
        except ValueError:
            return NO_REPOSITORY
        if parts.scheme.lower() not in _SCHEMES:
            return NO_REPOSITORY
        return repository_at(host, path)
    found = _SCP.fullmatch(text) or _BARE.fullmatch(text)
    return NO_REPOSITORY if found is None else repository_at(found[1], found[2])


def repository_at(host: str, path: str) -> Repository:
    """The repository of that path at a host, which may be empty; `NO_REPOSITORY` if one of them can't be right."""
    host, path = host.lower(), path.strip("/").removesuffix(".git")
    is_path = _PATH.fullmatch(path) is not None and not {".", ".."} & set(path.split("/"))
    return Repository(host, path) if is_path and (not host or _HOST.fullmatch(host)) else NO_REPOSITORY


def parse_revision(text: str) -> tuple[str, bool]:
    """A commit, and whether the files differed from it; ``("", False)`` for what is no commit, such as ``HEAD``.

    buildx and the depot CLI append ``-dirty`` to the commit for files that differ.
    """
    revision = text.strip().lower()
    is_dirty = revision.endswith(_DIRTY)
    revision = revision.removesuffix(_DIRTY)
    return (revision, is_dirty) if _REVISION.fullmatch(revision) else ("", False)


def parse_ref(ref: str) -> GitRef:
    """What a whole ref such as ``refs/heads/main`` names.

    Pull requests are ``refs/pull/12/merge`` at GitHub, and ``refs/merge-requests/12/head`` at GitLab.
    """
    if ref.startswith("refs/heads/"):
        return GitRef(branch=ref.removeprefix("refs/heads/"))
    if ref.startswith("refs/tags/"):
        return GitRef(tag=ref.removeprefix("refs/tags/"))
    found = re.fullmatch(r"refs/(?:pull|merge-requests)/([0-9]{1,12})(?:/.*)?", ref, re.ASCII)
    return NO_REF if found is None else GitRef(pull_request=found[1])


def forge_of(host: str) -> Forge | None:
    """How the pages of a well-known host are addressed."""
    return _WELL_KNOWN.get(host)


@dataclass(frozen=True, slots=True)
class WebPages:
    """The addresses of a repository's web pages: each is ``https://``, or empty if there is no such page."""

    repository: Repository
    forge: Forge | None

    @property
    def root(self) -> str:
        """That of the repository."""
        if self.forge is None or not self.repository.host or not self.repository.path:
            return ""
        return f"https://{self.repository.host}/{quote(self.repository.path)}"

    def commit(self, revision: str) -> str:
        """That of a commit."""
        middle = {Forge.GITHUB: "commit", Forge.GITLAB: "-/commit", Forge.BITBUCKET: "commits"}
        return self._page(middle, revision if _REVISION.fullmatch(revision) else "")

    def comparison(self, before: str, now: str) -> str:
        """That of what changed from one commit to another."""
        if self.forge is Forge.BITBUCKET or not (_REVISION.fullmatch(before) and _REVISION.fullmatch(now)):
            return ""
        return self._page({Forge.GITHUB: "compare", Forge.GITLAB: "-/compare"}, f"{before}...{now}")

    def ref(self, ref: GitRef) -> str:
        """That of a pull request, else of a branch or a tag."""
        if ref.pull_request:
            middle = {Forge.GITHUB: "pull", Forge.GITLAB: "-/merge_requests", Forge.BITBUCKET: "pull-requests"}
            return self._page(middle, ref.pull_request if ref.pull_request.isascii() else "")
        middle = {Forge.GITHUB: "tree", Forge.GITLAB: "-/tree", Forge.BITBUCKET: "src"}
        return self._page(middle, ref.branch or ref.tag)

    def _page(self, middle: dict[Forge, str], name: str) -> str:
        if not self.root or self.forge is None or not name or not {".", ".."}.isdisjoint(name.split("/")):
            return ""
        return f"{self.root}/{middle[self.forge]}/{quote(name)}"
