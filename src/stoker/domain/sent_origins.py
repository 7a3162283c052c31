"""Reads where a build comes from in what its client sends: the request that creates it, and its solves.

The attributes of a solve are those of BuildKit's Dockerfile frontend
(https://github.com/moby/buildkit/blob/master/frontend/dockerfile/docs/reference.md). buildx and the depot CLI add
``vcs:…``. None of it is verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.build_origins import (
    MOST_NAMES,
    BuildOrigin,
    CommitSource,
    origin_labels,
    origin_names,
    origin_tags,
    origin_text,
)
from stoker.domain.git_addresses import (
    NO_REF,
    NO_REPOSITORY,
    GitRef,
    Repository,
    parse_ref,
    parse_repository,
    parse_revision,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_DOCKERFILE_FRONTEND = "dockerfile.v0"
_DEFAULT_DOCKERFILE = "Dockerfile"
_LABEL = "label:"
_SOURCE_LABEL = "label:org.opencontainers.image.source"
_REVISION_LABEL = "label:org.opencontainers.image.revision"
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})  # as Go's strconv.ParseBool


@dataclass(frozen=True, slots=True)
class RequestedTarget:
    """A target of a request to create a build. Its ``name`` is empty unless it is one of a bake file."""

    name: str
    tags: Sequence[str]
    outputs: Sequence[str]
    pushes: bool
    loads: bool


@dataclass(frozen=True, slots=True)
class SolveExport:
    """An exporter of a solve with its attributes."""

    kind: str
    attributes: Mapping[str, str]

    @property
    def pushes(self) -> bool:
        """Whether it pushes an image."""
        return self.attributes.get("push", "") in _TRUE or self.kind == "registry"


def origin_of_request(command: str, targets: Sequence[RequestedTarget]) -> BuildOrigin:
    """What a request to create a build says of its origin."""
    outputs: list[str] = []
    for one in targets[:MOST_NAMES]:
        outputs += [*(["push"] if one.pushes else []), *(["load"] if one.loads else []), *one.outputs[:MOST_NAMES]]
    # The exporters that --push and --load stand for.
    derived = {"image", "registry"} if "push" in outputs else set[str]()
    derived |= {"docker"} if "load" in outputs else set[str]()
    return BuildOrigin(
        command=origin_text(command),
        tags=origin_tags(tag for one in targets for tag in one.tags),
        targets=origin_names(one.name for one in targets),
        outputs=origin_names(one for one in outputs if one not in derived),
    )


def origin_of_solve(frontend: str, attributes: Mapping[str, str], exports: Sequence[SolveExport]) -> BuildOrigin:
    """What a solve says of its build's origin."""
    return BuildOrigin(
        tags=origin_tags(_exported_names(exports)),
        targets=origin_names((attributes.get("target", ""),)),
        outputs=origin_names("push" if one.pushes else one.kind for one in exports),
        dockerfiles=origin_names((_dockerfile(frontend, attributes),)),
        labels=origin_labels(
            {name.removeprefix(_LABEL): value for name, value in attributes.items() if name.startswith(_LABEL)}
        ),
        commit=_commit(attributes),
    )


def _exported_names(exports: Iterable[SolveExport]) -> Iterator[str]:
    for one in exports:
        yield from one.attributes.get("name", "").split(",", MOST_NAMES)[:MOST_NAMES]


def _dockerfile(frontend: str, attributes: Mapping[str, str]) -> str:
    """The Dockerfile's name, with its folder where that is known and isn't the repository's own."""
    name = attributes.get("filename") or (_DEFAULT_DOCKERFILE if frontend == _DOCKERFILE_FRONTEND else "")
    folder = attributes.get("vcs:localdir:dockerfile", "")
    return f"{folder}/{name}" if name and folder not in {"", "."} else name


def _commit(attributes: Mapping[str, str]) -> CommitSource:
    """The commit: of a context that is a repository, else as buildx found it in a folder, else of labels."""
    repository, ref, revision = _git_context(attributes.get("context", ""))
    for name in ("vcs:source", _SOURCE_LABEL):
        repository = repository if repository.path else parse_repository(origin_text(attributes.get(name)))
    is_dirty = False
    for name in ("vcs:revision", _REVISION_LABEL):
        if not revision:
            revision, is_dirty = parse_revision(origin_text(attributes.get(name)))
    return CommitSource(repository=repository, ref=ref, revision=revision, is_dirty=is_dirty)


def _git_context(context: str) -> tuple[Repository, GitRef, str]:
    """Repository, ref and commit of a context that BuildKit clones: ``https://host/path.git#ref:folder``.

    See https://docs.docker.com/build/concepts/context/#url-fragments.
    """
    address, _, fragment = context.partition("#")
    address = address.partition("?")[0]
    if not address.endswith(".git") and not fragment:
        return NO_REPOSITORY, NO_REF, ""
    repository = parse_repository(address)
    if not repository.path:
        return NO_REPOSITORY, NO_REF, ""
    named = origin_text(fragment.partition(":")[0])
    revision, _ = parse_revision(named)
    if revision and len(revision) in {40, 64}:
        return repository, NO_REF, revision
    if named.startswith("refs/"):
        return repository, parse_ref(named), ""
    # A branch or a tag; git doesn't say which, and branches are what people build.
    return repository, GitRef(branch=named), ""
