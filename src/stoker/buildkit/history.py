"""Reads BuildKit's history of a finished solve, with the attestations of its result."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from pydantic import BaseModel, Field, ValidationError
from pyqwest import Client

from stoker._gen.containerd.services.content.v1.content_connect import ContentClient
from stoker._gen.containerd.services.content.v1.content_pb import ReadContentRequest
from stoker._gen.google.rpc.status_pb import Status
from stoker._gen.moby.buildkit.v1.control_pb import BuildHistoryEventType, BuildHistoryRequest
from stoker.buildkit.control import control_client, control_errors, control_transport, control_url
from stoker.buildkit.decoding import decode
from stoker.domain.solve_history import (
    Attestation,
    SolveHistory,
    dockerfile_of_error,
    dockerfiles_of_provenance,
    secret_arguments,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from stoker._gen.moby.buildkit.v1 import control_pb as pb
    from stoker.buildkit.control import ControlCredentials
    from stoker.domain.machines import Placement

_PAUSE = 0.1
_PREDICATE = "in-toto.io/predicate-type"
_IN_TOTO = "application/vnd.in-toto+json"
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_REFERENCE, _REFERENCE_DIGEST = "vnd.docker.reference.type", "vnd.docker.reference.digest"
_ATTESTATIONS = "attestation-manifest"
_SOURCE = "github.com/moby/buildkit/errdefs.Source"
_MOST_DOCUMENTS = 50
_LARGEST_MANIFEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Document:
    """An attestation: its type, its result, and its blob."""

    predicate_type: str
    platform: str
    digest: str


async def read_history(
    placement: Placement, server_name: str, credentials: ControlCredentials, ref: str, most_bytes: int
) -> SolveHistory:
    """A machine's history of a finished solve. The caller sets a deadline.

    It is empty for an ``Internal`` solve (the depot CLI's).

    Args:
        placement: where the machine is.
        server_name: its name.
        credentials: ours.
        ref: the ref of the solve.
        most_bytes: how much is read of all attestations and Dockerfiles together.

    Raises:
        ControlFailed: the call failed; the machine may have ended.
    """
    with control_errors():
        async with control_client(placement, server_name, credentials) as client:
            record = await _record(client.listen_build_history, ref)
        if record is None:
            return SolveHistory()
        async with _blobs(placement, server_name, credentials) as blobs:
            return await _read(blobs, record, most_bytes)


async def blobs_of_solve(
    placement: Placement, server_name: str, credentials: ControlCredentials, ref: str
) -> frozenset[str]:
    """The digests of all blobs in a machine's history of a solve. The caller sets a deadline.

    Raises:
        ControlFailed: the call failed; the machine may have ended.
    """
    with control_errors():
        async with control_client(placement, server_name, credentials) as client:
            found = frozenset[str]()
            async for event in client.listen_build_history(BuildHistoryRequest(Ref=ref, EarlyExit=True)):
                if event.record is not None and event.record.Ref == ref:
                    found |= _named(event.record)
    return found


def _named(record: pb.BuildHistoryRecord) -> frozenset[str]:
    named = [record.logs, record.trace, record.externalError]
    for result in (record.Result, *record.Results.values()):
        if result is not None:
            named += [result.ResultDeprecated, *result.Attestations, *result.Results.values()]
    return frozenset(one.digest for one in named if one is not None)


async def _record(listen: Any, ref: str) -> pb.BuildHistoryRecord | None:  # noqa: ANN401
    """The history of a solve once BuildKit has written it, a moment after the solve's last status."""
    while True:
        is_there = False
        async for event in listen(BuildHistoryRequest(Ref=ref, EarlyExit=True)):
            if event.record is not None and event.record.Ref == ref:
                is_there = True
                if event.type == BuildHistoryEventType.COMPLETE:
                    return event.record
        if not is_there:
            return None
        await asyncio.sleep(_PAUSE)


class _Blobs:
    """Reads blobs, up to a total size."""

    def __init__(self, client: ContentClient) -> None:
        self._client = client

    async def read(self, digest: str, most: int) -> bytes | None:
        """A blob; None if it doesn't exist or is too large."""
        content = bytearray()
        try:
            async for part in self._client.read(ReadContentRequest(digest=digest)):
                content += part.data
                if len(content) > most:
                    return None
        except ConnectError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise
        return bytes(content)


@asynccontextmanager
async def _blobs(placement: Placement, server_name: str, credentials: ControlCredentials) -> AsyncGenerator[_Blobs]:
    http = Client(control_transport(placement, server_name, credentials))
    url = control_url(placement, server_name)
    async with ContentClient(url, protocol=ProtocolType.GRPC, http_client=http) as client:
        yield _Blobs(client)


@dataclass(frozen=True, slots=True)
class _Looked:
    """What is in a document, and how it is stored, if it is."""

    secrets: list[str]
    dockerfiles: list[tuple[str, str]]
    masked: bytes | None


def _look(content: bytes) -> _Looked:
    return _Looked(secret_arguments(content), dockerfiles_of_provenance(content), without_secrets(content))


async def _read(blobs: _Blobs, record: pb.BuildHistoryRecord, most_bytes: int) -> SolveHistory:
    room, secrets = most_bytes, set[str]()
    attestations: list[Attestation] = []
    dockerfiles: dict[str, str] = {}
    for document in (await _documents(blobs, record))[:_MOST_DOCUMENTS]:
        content = await blobs.read(document.digest, room)
        if content is None:
            continue
        room -= len(content)
        # Documents may be large, and must not block the event loop.
        looked = await asyncio.to_thread(_look, content)
        secrets.update(looked.secrets)
        for name, text in looked.dockerfiles:
            dockerfiles.setdefault(name, text)
        if looked.masked is not None:
            attestations.append(Attestation(document.predicate_type, document.platform, looked.masked))
    if record.externalError is not None:
        content = await blobs.read(record.externalError.digest, room)
        for name, text in _sources(content) if content is not None else []:
            dockerfiles.setdefault(name, text)
    longest_first = tuple(sorted(secrets, key=len, reverse=True))
    return SolveHistory(tuple(attestations), tuple(dockerfiles.items()), longest_first)


def _sources(content: bytes) -> list[tuple[str, str]]:
    """The Dockerfiles that the error of a solve quotes."""
    try:
        details = decode(content, Status).details
    except ValueError:
        return []
    found = [dockerfile_of_error(one.value) for one in details if _SOURCE in one.type_url]
    return [one for one in found if one is not None]


async def _documents(blobs: _Blobs, record: pb.BuildHistoryRecord) -> list[_Document]:
    """The attestations: of BuildKit in the history itself, and in images that the solve made."""
    results = [("", record.Result), *sorted(record.Results.items(), key=lambda one: one[0])]
    found = [
        _Document(one.annotations.get(_PREDICATE, one.media_type), platform, one.digest)
        for platform, result in results
        if result is not None
        for one in result.Attestations
    ]
    for _, result in results:
        if result is not None:
            for one in result.Results.values():
                if one.media_type in _INDEXES:
                    found += await _in_image(blobs, one.digest)
    known: dict[str, _Document] = {}
    for one in found:
        known.setdefault(one.digest, one)
    return list(known.values())


async def _in_image(blobs: _Blobs, digest: str) -> list[_Document]:
    """The attestations in an image index (https://github.com/moby/buildkit/blob/master/docs/attestations)."""
    index = _Manifest.read(await blobs.read(digest, _LARGEST_MANIFEST))
    platforms = {one.digest: one.platform.text for one in index.manifests if one.platform is not None}
    found: list[_Document] = []
    for entry in index.manifests:
        if entry.annotations.get(_REFERENCE) != _ATTESTATIONS:
            continue
        platform = platforms.get(entry.annotations.get(_REFERENCE_DIGEST, ""), "")
        manifest = _Manifest.read(await blobs.read(entry.digest, _LARGEST_MANIFEST))
        found += [
            _Document(one.annotations.get(_PREDICATE, one.media_type), platform, one.digest)
            for one in manifest.layers
            if one.media_type == _IN_TOTO
        ]
    return found


class _Platform(BaseModel):
    os: str = ""
    architecture: str = ""
    variant: str = ""

    @property
    def text(self) -> str:
        """As everywhere here, such as linux/amd64."""
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


class _Descriptor(BaseModel):
    digest: str
    media_type: str = Field("", alias="mediaType")
    annotations: dict[str, str] = {}
    platform: _Platform | None = None


class _Manifest(BaseModel):
    """An image index or a manifest (https://github.com/opencontainers/image-spec)."""

    manifests: list[_Descriptor] = []
    layers: list[_Descriptor] = []

    @classmethod
    def read(cls, content: bytes | None) -> _Manifest:
        """Decode one; empty if it is missing or something else."""
        try:
            return cls.model_validate_json(content or b"{}")
        except ValidationError:
            return cls()
