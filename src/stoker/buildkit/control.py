"""Call a machine's buildkitd."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from pyqwest import Client, HTTPTransport, HTTPVersion

from stoker._gen.moby.buildkit.v1.control_connect import ControlClient
from stoker._gen.moby.buildkit.v1.control_pb import ListWorkersRequest

if TYPE_CHECKING:
    from stoker.domain.machines import Placement
    from stoker.pki.certificates import PairFiles

_CALL_TIMEOUT_MS = 2000
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.1


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


async def wait_until_ready(placement: Placement, server_name: str, credentials: ControlCredentials) -> None:
    """Return as soon as a machine answers ListWorkers and proves its name. Give it a deadline from outside.

    BuildKit's own health service says nothing of its workers, so this call is what readiness means.
    """
    transport = HTTPTransport(
        tls_ca_cert=credentials.authority,
        tls_cert=credentials.certificate,
        tls_key=credentials.private_key,
        http_version=HTTPVersion.HTTP2,
        dns_overrides={server_name: [placement.host]},
    )
    url = f"https://{server_name}:{placement.port}"
    pause = _FIRST_PAUSE
    async with ControlClient(url, protocol=ProtocolType.GRPC, http_client=Client(transport)) as client:
        while True:
            try:
                answer = await client.list_workers(ListWorkersRequest(), timeout_ms=_CALL_TIMEOUT_MS)
            except ConnectError:
                pass
            else:
                if answer.record:
                    return
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 1.5)
