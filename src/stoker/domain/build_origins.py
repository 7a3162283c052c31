"""What a build makes and where it comes from: its command, tags and targets, its commit, and the CI run that began it.

Three sources know of it: the request that creates the build, the solves that it begins, and the claims of an OIDC
token. Claims are verified. What clients send isn't: it adds to what is known, and never replaces a claim.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING

from stoker.domain.git_addresses import NO_REF, NO_REPOSITORY, GitRef, Repository
from stoker.domain.image_names import short_image_name
from stoker.domain.masking import mask_secrets
from stoker.domain.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stoker.domain.trust_policies import ProviderKind

MOST_NAMES = 20
"""The most tags that are kept of a build, and likewise targets, outputs, Dockerfiles and labels."""

LONGEST_NAME = 256
"""The longest text of an origin, in characters."""

_READ_FACTOR = 4
_BAKE = "bake"


@dataclass(frozen=True, slots=True)
class CommitSource:
    """The commit that was built.

    Attributes:
        repository: where it is.
        ref: what it was checked out by.
        revision: its whole hash.
        is_dirty: whether the files differed from it.
    """

    repository: Repository = NO_REPOSITORY
    ref: GitRef = NO_REF
    revision: str = ""
    is_dirty: bool = False


@dataclass(frozen=True, slots=True)
class CiRun:
    """The run of a CI that began a build, by the verified claims of its token.

    Attributes:
        provider: the kind of CI.
        host: of the provider's web pages, such as ``github.com``; empty if it isn't known.
        number: that people know it by.
        workflow: the workflow or pipeline that ran.
        actor: who began it.
        url: of its web page, ``https://``; empty if there is none.
    """

    provider: ProviderKind
    host: str = ""
    number: str = ""
    workflow: str = ""
    actor: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class BuildOrigin:
    """What is known of a build's origin. All texts are bounded, in one line, and without secrets.

    Attributes:
        command: such as ``build`` or ``bake``; empty if the client didn't say.
        tags: names of images, without ``docker.io``.
        targets: of a bake file for ``bake``, else stages of the Dockerfile.
        outputs: ``push``, ``load``, or kinds of BuildKit's exporters.
        dockerfiles: their names.
        labels: of the images.
        commit: what was built.
        run: the CI's run; None unless it proved that by its token.
    """

    command: str = ""
    tags: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    dockerfiles: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    commit: CommitSource = CommitSource()
    run: CiRun | None = None

    @property
    def without_actor(self) -> BuildOrigin:
        """The same for readers who may not see people."""
        return self if self.run is None else replace(self, run=replace(self.run, actor=""))


NO_ORIGIN = BuildOrigin()


def merged(known: BuildOrigin, sent: BuildOrigin) -> BuildOrigin:
    """What is known, with what a client sent: lists grow up to their bounds, and everything else stays if it is known.

    A request to create a build names all its targets and outputs. So solves add none to those of a request: theirs are
    stages of the Dockerfile, and exporters that the client derived.
    """
    is_requested = bool(known.command)
    return BuildOrigin(
        command=known.command or sent.command,
        tags=_joined_tags(known.tags, sent.tags),
        targets=known.targets if known.command == _BAKE and known.targets else _joined(known.targets, sent.targets),
        outputs=known.outputs if is_requested and known.outputs else _joined(known.outputs, sent.outputs),
        dockerfiles=_joined(known.dockerfiles, sent.dockerfiles),
        labels=_joined_labels(known.labels, sent.labels),
        commit=_joined_commits(known.commit, sent.commit, is_claimed=known.run is not None),
        run=known.run,
    )


def _joined_commits(known: CommitSource, sent: CommitSource, *, is_claimed: bool) -> CommitSource:
    """A claimed ref is whole: a client can't make a pull request look like a branch."""
    revision = known.revision or sent.revision
    return CommitSource(
        repository=known.repository if known.repository.path else sent.repository,
        ref=known.ref if is_claimed or known.ref.is_known else sent.ref,
        revision=revision,
        is_dirty=known.is_dirty or (sent.is_dirty and sent.revision == revision),
    )


def _joined(known: tuple[str, ...], sent: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *sent)))[:MOST_NAMES]


def _joined_tags(known: tuple[str, ...], sent: tuple[str, ...]) -> tuple[str, ...]:
    """Tags of both. Builds for several platforms push by digest, under the repository's name alone."""
    repositories = {tag.rpartition(":")[0] for tag in (*known, *sent) if ":" in tag.rpartition("/")[2]}
    return tuple(tag for tag in _joined(known, sent) if tag in known or tag not in repositories)


def _joined_labels(
    known: tuple[tuple[str, str], ...], sent: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    found = dict(known)
    for name, value in sent:
        found.setdefault(name, value)
    return tuple(found.items())[:MOST_NAMES]


def origin_text(value: object, most: int = LONGEST_NAME) -> str:
    """A text or number of a client or a claim as it is kept: in one line, masked, shortened, and without controls.

    What changes the direction of text counts as a control. Anything else than a text or a number is empty.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    # Of a text that is far too long its beginning is enough, as reading all of it takes time.
    text = str(value)[: _READ_FACTOR * most] if isinstance(value, str) else str(value)[:most]
    plain = "".join(map(_plain, text.strip()))
    return shortened(mask_secrets(plain), most)


def origin_names(values: Iterable[str]) -> tuple[str, ...]:
    """The first distinct names among these, as they are kept."""
    found: dict[str, None] = {}
    for value in islice(values, _READ_FACTOR * MOST_NAMES):
        if len(found) >= MOST_NAMES:
            break
        if name := origin_text(value):
            found[name] = None
    return tuple(found)


def origin_tags(values: Iterable[str]) -> tuple[str, ...]:
    """Names of images as they are kept: as people write them, without ``docker.io``."""
    return origin_names(short_image_name(value) for value in values)


def origin_labels(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The first labels by name, as they are kept."""
    found: list[tuple[str, str]] = []
    for name in nsmallest(MOST_NAMES, labels):
        # Together, as the name tells whether the value is a secret.
        masked = origin_text(f"{name[:LONGEST_NAME]}={labels[name]}", 2 * LONGEST_NAME)
        kept, _, value = masked.partition("=")
        if kept:
            found.append((shortened(kept, LONGEST_NAME), shortened(value, LONGEST_NAME)))
    return tuple(found)


def searchable_text(origin: BuildOrigin, title: str) -> str:
    """All that a search looks through, but for people: each in a line of its own."""
    commit, run = origin.commit, origin.run
    texts = [
        title,
        origin.command,
        *origin.tags,
        *origin.targets,
        *origin.dockerfiles,
        *(f"{name}={value}" for name, value in origin.labels),
        commit.repository.full_name,
        commit.revision,
        commit.ref.branch,
        commit.ref.tag,
        f"#{commit.ref.pull_request}" if commit.ref.pull_request else "",
    ]
    if run is not None:
        texts += (run.provider.value, run.workflow, f"#{run.number}" if run.number else "")
    return "\n".join(dict.fromkeys(filter(None, texts)))


def _plain(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"


def subject_of(origin: BuildOrigin) -> str:
    """What is equal for builds of the same thing: their images without tags, their targets and their Dockerfiles.

    Empty if none of them is known.
    """
    repositories = sorted({_without_tag(tag) for tag in origin.tags})
    parts = (repositories, sorted(origin.targets), sorted(origin.dockerfiles))
    if not any(parts):
        return ""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _without_tag(name: str) -> str:
    path, _, last = name.partition("@")[0].rpartition("/")
    return f"{path}/{last.partition(':')[0]}"
