"""10: Solves that wait for a client which never comes, each of which is to be recorded."""

from __future__ import annotations

import asyncio

from tests.attack.framework.attack import Attack, Attacker, Credential, gateway_address, gateway_tls
from tests.attack.framework.http1 import enveloped
from tests.attack.framework.http2 import http2
from tests.attack.framework.protobuf import solve

_PER_SECOND = 40
_SOLVE = "/moby.buildkit.v1.Control/Solve"


async def _hold(attacker: Attacker) -> None:
    tls = gateway_tls(attacker.given)

    async def work(_: int) -> None:
        while True:
            await attacker.turn(_PER_SECOND)
            try:
                async with http2(gateway_address(attacker.given), tls, attacker.given["server_name"]) as connection:
                    while not connection.closed.is_set():
                        await attacker.turn(_PER_SECOND)
                        stream = await connection.open(_SOLVE, {"content-type": "application/grpc", "te": "trailers"})
                        name = f"{attacker.chance.getrandbits(64):x}"
                        asked = solve(name, frontend="dockerfile.v0", session="nobody")
                        await connection.send(stream, enveloped(asked), end=True)
                        attacker.count("solve")
                        await asyncio.sleep(0)
            except OSError as error:
                attacker.count(type(error).__name__)

    await attacker.many(4, work)


ATTACKS = [
    Attack(
        "10",
        "solves that no client waits for",
        Credential.UNTRUSTED,
        _hold,
        lambda world: world.build_with_endpoint(),
        most=2000,
    )
]
