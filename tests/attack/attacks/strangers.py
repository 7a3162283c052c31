"""07: strangers who take all logins, all places of guests, and all connections."""

from __future__ import annotations

import contextlib
from collections import Counter

from tests.attack.framework.attack import Attack, Attacker, AttackOver, Credential, Given
from tests.attack.framework.http1 import Http1, call_once, enveloped, http1, json_headers
from tests.attack.framework.world import World

_LOGINS_A_SECOND = 300
_WATCHES_A_SECOND = 300
_CONNECTIONS_A_SECOND = 400
_SILENT = 10_000
_LOGIN = "depot.cli.v1beta1.LoginService/StartLogin"
_FINISH = "/depot.cli.v1beta1.LoginService/FinishLogin"
_WATCH = "/grpc.health.v1.Health/Watch"


async def _log_in(attacker: Attacker) -> None:
    async def start() -> str:
        status, _ = await call_once(attacker.api, _LOGIN, {}, "", "127.0.0.2")
        return f"StartLogin {status}"

    async def work(_: int) -> None:
        while True:
            await attacker.turn(_LOGINS_A_SECOND)
            await attacker.attempt(start())

    await attacker.many(4, work)


def _somebody_else_can_log_in(world: World, _: Given, __: Counter[str]) -> None:
    answer = world.server.call(_LOGIN, {}, token="")
    assert answer.status == 200, f"a login from another address: {answer.status} {answer.message}"


async def _watch(attacker: Attacker) -> None:
    headers = json_headers() | {"content-type": "application/connect+json"}

    async def begin(connection: Http1) -> str:
        method, message = attacker.chance.choice([(_WATCH, b"{}"), (_FINISH, b'{"id":"x"}')])
        await connection.begin(method, enveloped(message) + enveloped(b"{}", 2), headers)
        return method.rpartition("/")[2]

    async with contextlib.AsyncExitStack() as stack:
        with contextlib.suppress(AttackOver):
            while True:
                await attacker.turn(_WATCHES_A_SECOND)
                source = f"127.0.4.{attacker.chance.randrange(1, 20)}"
                try:
                    connection = await stack.enter_async_context(http1(attacker.api, source))
                except OSError as error:
                    attacker.count(type(error).__name__)
                else:
                    await attacker.attempt(begin(connection))


async def _say_nothing(attacker: Attacker) -> None:
    async with contextlib.AsyncExitStack() as stack:
        with contextlib.suppress(AttackOver):
            while True:
                await attacker.turn(_CONNECTIONS_A_SECOND)
                try:
                    await stack.enter_async_context(http1(attacker.api, "127.0.0.2"))
                except OSError as error:
                    attacker.count(type(error).__name__)
                else:
                    attacker.count("connected")


ATTACKS = [
    Attack("07", "logins of one address", Credential.NONE, _log_in, check=_somebody_else_can_log_in),
    Attack("07", "watches of twenty addresses", Credential.NONE, _watch, most=4000),
    Attack("07", "silent connections", Credential.NONE, _say_nothing, most=_SILENT),
]
