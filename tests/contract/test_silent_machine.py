"""A machine that takes a connection and never answers, as one does whose network goes while it is called."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stoker.buildkit.control import ControlCredentials, ControlFailed, cache_records, wait_until_ready
from stoker.domain.machines import Placement
from tests.contract.machine_host import MACHINE_NAME, Certificates

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PATIENCE_SECONDS = 10


@pytest.mark.parametrize("call", [wait_until_ready, cache_records])
async def test_calls_of_a_silent_machine_can_be_canceled(
    call: Callable[[Placement, str, ControlCredentials], Awaitable[object]], certificates: Certificates
) -> None:
    called = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The first bytes of TLS. Looking whether the port is open sends none.
        if await reader.read(1):
            called.set()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    pem = {name: (certificates.folder / name).read_bytes() for name in ("client.pem", "client.key", "machines.pem")}
    credentials = ControlCredentials(pem["client.pem"], pem["client.key"], pem["machines.pem"])
    placement = Placement("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            calling = asyncio.ensure_future(call(placement, MACHINE_NAME, credentials))
            await called.wait()
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
    except ControlFailed:
        pytest.fail("it says that the call failed, and whoever tries again never ends")
    finally:
        server.close()
