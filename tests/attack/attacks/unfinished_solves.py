"""05: Solve requests at the gateway that are never finished."""

from __future__ import annotations

import asyncio
import struct

from tests.attack.framework.attack import Attack, Attacker, Credential, gateway_address, gateway_tls
from tests.attack.framework.http2 import Http2, http2

_PER_SECOND = 15
_CONNECTIONS = 6
_BYTES = 16 * 1024**2 - 100_000
_SOLVE = "/moby.buildkit.v1.Control/Solve"


async def _hold(attacker: Attacker) -> None:
    tls = gateway_tls(attacker.given)

    async def send(connection: Http2) -> None:
        stream = await connection.open(_SOLVE, {"content-type": "application/grpc", "te": "trailers"})
        size = attacker.chance.choice([_BYTES, _BYTES, 1024 * 1024, 0])
        beginning = struct.pack(">BI", 0, size + 50_000) + bytes(size) if size else b""
        sending = asyncio.create_task(connection.send(stream, beginning))
        ended = asyncio.create_task(stream.ended.wait())
        await asyncio.wait({sending, ended}, return_when=asyncio.FIRST_COMPLETED)
        attacker.count("sent" if sending.done() and not ended.done() else stream.outcome)
        await ended
        sending.cancel()
        attacker.count(f"then {stream.outcome}")

    async def work(_: int) -> None:
        while True:
            await attacker.turn(_PER_SECOND)
            try:
                async with http2(gateway_address(attacker.given), tls, attacker.given["server_name"]) as connection:
                    holding: set[asyncio.Task[None]] = set()
                    try:
                        while not connection.closed.is_set():
                            await attacker.turn(_PER_SECOND)
                            holding.add(asyncio.create_task(send(connection)))
                    finally:
                        for task in holding:
                            task.cancel()
                        await asyncio.gather(*holding, return_exceptions=True)
            except OSError as error:
                attacker.count(type(error).__name__)

    await attacker.many(_CONNECTIONS, work)


ATTACKS = [
    Attack(
        "05",
        "unfinished Solves at the gateway",
        Credential.UNTRUSTED,
        _hold,
        lambda world: world.build_with_endpoint(),
        most=2000,
    )
]
