"""Call a machine's buildkitd."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from pyqwest import Client, HTTPTransport, HTTPVersion

from stoker._gen.moby.buildkit.v1.control_connect import ControlClient
from stoker._gen.moby.buildkit.v1.control_pb import DiskUsageRequest, InfoRequest, PruneRequest, UsageRecord
from stoker.buildkit.cancellation import cancellable
from stoker.buildkit.decoding import EPOCH, LenientCodec, decode_moment
from stoker.domain.cache_contents import CacheRecord
from stoker.domain.masking import mask_secrets

if TYPE_CHECKING:
    from collections.abc import Generator

    from stoker.domain.machines import Placement
    from stoker.pki.certificates import PairFiles

_CALL_TIMEOUT_MS = 2000
_PAUSE = 0.005


class ControlFailed(Exception):
    """A call of a machine failed."""


@dataclass(frozen=True, slots=True)
class ControlCredentials:
    """Our own client certificate and the authority of all machines (PEM)."""

    certificate: bytes
    private_key: bytes
    authority: bytes

    def __repr__(self) -> str:
        """Without the key."""
        return "ControlCredentials(…)"


def read_credentials(files: PairFiles, authority: bytes) -> ControlCredentials:
    """Read the client certificate from its files."""
    return ControlCredentials(files.certificate.read_bytes(), files.key.read_bytes(), authority)


@contextmanager
def control_errors() -> Generator[None]:
    """Turn what the RPC library raises in calls of a machine into ControlFailed.

    Raises:
        ControlFailed: instead of ConnectError.
    """
    try:
        with cancellable():
            yield
    except ConnectError as error:
        raise ControlFailed(mask_secrets(error.message)) from error


async def wait_until_ready(placement: Placement, server_name: str, credentials: ControlCredentials) -> None:
    """Return as soon as a machine answers Info and proves its name. The caller sets a deadline.

    BuildKit serves calls once it has a worker, which its health service doesn't show. ListWorkers would show it too,
    but first runs a program of each architecture that BuildKit knows.
    """
    await _listens(placement)
    async with control_client(placement, server_name, credentials) as client:
        while True:
            try:
                with cancellable():
                    await client.info(InfoRequest(), timeout_ms=_CALL_TIMEOUT_MS)
            except ConnectError:
                await asyncio.sleep(_PAUSE)
            else:
                return


async def _listens(placement: Placement) -> None:
    """Return when the port is open. Trying to connect is cheap; a refused TLS call is not."""
    while True:
        try:
            _, writer = await asyncio.open_connection(placement.host, placement.port)
        except OSError:
            await asyncio.sleep(_PAUSE)
        else:
            writer.close()
            return


async def prune(placement: Placement, server_name: str, credentials: ControlCredentials, max_used_bytes: int) -> int:
    """Evict the longest unused cache of a machine down to a size. Returns the bytes that were freed.

    Cache in use stays. BuildKit does the same by itself, but at most once a minute. The caller sets a deadline.

    Raises:
        ControlFailed: the call failed; the machine may have ended.
    """
    with control_errors():
        async with control_client(placement, server_name, credentials) as client:
            request = PruneRequest(all=True, maxUsedSpace=max_used_bytes)
            return sum([record.Size async for record in client.prune(request)])


async def cache_records(
    placement: Placement, server_name: str, credentials: ControlCredentials
) -> tuple[CacheRecord, ...]:
    """The records of a machine's cache. The caller sets a deadline: unknown sizes are measured first.

    Raises:
        ControlFailed: the call failed; the machine may have ended.
    """
    with control_errors():
        async with control_client(placement, server_name, credentials) as client:
            answer = await client.disk_usage(DiskUsageRequest())
    return tuple(_cache_record(record) for record in answer.record)


def _cache_record(record: UsageRecord) -> CacheRecord:
    return CacheRecord(
        id=record.ID,
        kind=record.RecordType or "regular",
        size_bytes=max(0, record.Size),
        created_at=decode_moment(record.CreatedAt) or EPOCH,
        last_used_at=decode_moment(record.LastUsedAt),
        uses=record.UsageCount,
        in_use=record.InUse,
        description=mask_secrets(record.Description),
    )


def control_client(placement: Placement, server_name: str, credentials: ControlCredentials) -> ControlClient:
    """A client for one run of a machine, which must prove its name."""
    http = Client(control_transport(placement, server_name, credentials))
    return ControlClient(
        control_url(placement, server_name), codec=LenientCodec(), protocol=ProtocolType.GRPC, http_client=http
    )


def control_transport(placement: Placement, server_name: str, credentials: ControlCredentials) -> HTTPTransport:
    """Connections to one run of a machine, which must prove its name."""
    return HTTPTransport(
        tls_ca_cert=credentials.authority,
        tls_cert=credentials.certificate,
        tls_key=credentials.private_key,
        http_version=HTTPVersion.HTTP2,
        dns_overrides={server_name: [placement.host]},
    )


def control_url(placement: Placement, server_name: str) -> str:
    """The address of a machine's services."""
    return f"https://{server_name}:{placement.port}"
