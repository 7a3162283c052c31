"""What a build is called, and the line below: ``acme/webshop:1.4.5``, and ``main @ 2475601 · GitHub run #812 · ada``.

Everything that names builds takes it from here: pages, the command line, the API, webhooks and the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.git_addresses import Forge, WebPages, forge_of
from stoker.domain.image_names import name_without_registry
from stoker.domain.shortening import shortened
from stoker.domain.trust_policies import ProviderKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.domain.audit import Party
    from stoker.domain.build_origins import BuildOrigin, CiRun

LONGEST_TITLE = 200
"""In characters."""

_BAKE = "bake"
_NAMED_TARGETS = 3
_REVISION_LENGTH = 7
_RUNS = {
    ProviderKind.GITHUB: ("GitHub run", "#"),
    ProviderKind.GITLAB: ("GitLab pipeline", "#"),
    ProviderKind.BUILDKITE: ("Buildkite build", "#"),
    ProviderKind.CIRCLECI: ("CircleCI workflow", ""),
}
_FORGES = {ProviderKind.GITHUB: Forge.GITHUB, ProviderKind.GITLAB: Forge.GITLAB}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the line below a title: what separates it from the piece before, its text, and where it leads.

    ``url`` begins with ``https://``, or is empty.
    """

    separator: str
    text: str
    url: str = ""


def title_of(origin: BuildOrigin) -> str:
    """A build's title; empty if nothing is known that names it.

    It is the first tag without its registry, else the targets, else the Dockerfile.
    """
    if origin.tags:
        title = name_without_registry(origin.tags[0])
    elif origin.targets and origin.command == _BAKE:
        title = f"bake: {_listed(origin.targets)}"
    elif origin.targets:
        title = f"{'target' if len(origin.targets) == 1 else 'targets'} {_listed(origin.targets)}"
    elif origin.command == _BAKE:
        title = _BAKE
    else:
        title = origin.dockerfiles[0] if origin.dockerfiles else ""
    return shortened(title, LONGEST_TITLE)


def origin_pieces(origin: BuildOrigin, who: str = "") -> tuple[Piece, ...]:
    """The line below a title, with its links: what was checked out, the CI's run, and who began the build."""
    pieces: list[Piece] = []
    commit, run, pages = origin.commit, origin.run, web_pages_of(origin)
    if commit.ref.pull_request:
        pieces.append(Piece("", f"#{commit.ref.pull_request}", pages.ref(commit.ref)))
        if commit.ref.branch:
            pieces.append(Piece(" ", commit.ref.branch))
    elif commit.ref.is_known:
        pieces.append(Piece("", commit.ref.branch or commit.ref.tag, pages.ref(commit.ref)))
    if commit.revision:
        text = commit.revision[:_REVISION_LENGTH] + (" (modified)" if commit.is_dirty else "")
        pieces.append(Piece(" @ " if pieces else "@ ", text, pages.commit(commit.revision)))
    if not pieces and commit.repository.path:
        pieces.append(Piece("", commit.repository.path, pages.root))
    if run is not None:
        pieces.append(Piece(" · " if pieces else "", run_name(run), run.url))
    if who:
        pieces.append(Piece(" · " if pieces else "", who))
    return tuple(pieces)


def origin_line(origin: BuildOrigin, who: str = "") -> str:
    """The same as one text."""
    return "".join(piece.separator + piece.text for piece in origin_pieces(origin, who))


def run_name(run: CiRun) -> str:
    """What a CI's run is called: ``GitHub run #812``."""
    name, sign = _RUNS[run.provider]
    return f"{name} {sign}{run.number}" if run.number else name.partition(" ")[0]


def who_began(begun_by: Party | None, origin: BuildOrigin) -> str:
    """Who began a build, in few words: the CI's actor, else the person or the token that created it.

    Empty if it isn't known, and for a CI whose claims name nobody.
    """
    if origin.run is not None:
        return origin.run.actor
    if begun_by is None:
        return ""
    name = begun_by.name or begun_by.id
    return name if begun_by.kind == "person" else f"{begun_by.kind} {name}".strip()


def web_pages_of(origin: BuildOrigin) -> WebPages:
    """The web pages of the repository: at the CI's own host, which its issuer tells, or at a well-known one."""
    repository, run = origin.commit.repository, origin.run
    forge = forge_of(repository.host)
    if forge is None and run is not None and run.host and run.host == repository.host:
        forge = _FORGES.get(run.provider)
    return WebPages(repository, forge)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_TARGETS
    return ", ".join(names[:_NAMED_TARGETS]) + (f" and {more} more" if more > 0 else "")
