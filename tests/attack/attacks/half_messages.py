"""06: streams whose messages never end."""

from __future__ import annotations

import contextlib
import struct

from tests.attack.framework.attack import Attack, Attacker, AttackOver, Credential
from tests.attack.framework.http1 import Http1, http1, json_headers

_PER_SECOND = 30
_MOST = 1000
_MESSAGE = 4 * 1024**2 - 64
_STREAM = "/depot.cli.v1.BuildService/ReportStatusStream"


async def _hold(attacker: Attacker) -> None:
    headers = json_headers(attacker.given["token"]) | {"content-type": "application/connect+json"}

    async def begin(connection: Http1) -> str:
        size = attacker.chance.choice([_MESSAGE, _MESSAGE, 1000, 1])
        await connection.begin(_STREAM, struct.pack(">BI", 0, _MESSAGE) + b" " * size, headers)
        return "begun"

    async with contextlib.AsyncExitStack() as stack:
        with contextlib.suppress(AttackOver):
            while True:
                await attacker.turn(_PER_SECOND)
                connection = await stack.enter_async_context(http1(attacker.api, "127.0.0.2"))
                await attacker.attempt(begin(connection))


ATTACKS = [
    Attack(
        "06",
        "half messages of report streams",
        Credential.UNTRUSTED,
        _hold,
        lambda world: world.build_with_token(),
        most=_MOST,
    )
]
