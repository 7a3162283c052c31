"""14: the page of a shared build with 2,000 steps, over ten connections."""

from __future__ import annotations

from tests.attack.framework.attack import Attack, Attacker, Credential, Given
from tests.attack.framework.http1 import http1
from tests.attack.framework.world import World
from tests.harness.large_record import write_large_record

_PER_SECOND = 20
_CONNECTIONS = 10
_STEPS = 2000
_LINES = 20_000


async def _view(attacker: Attacker) -> None:
    async def work(number: int) -> None:
        source = f"127.0.5.{number + 1 if number % 2 else 1}"
        while True:
            await attacker.turn(_PER_SECOND)
            try:
                async with http1(attacker.api, source) as connection:
                    while True:
                        await attacker.turn(_PER_SECOND)
                        status, _ = await connection.call(attacker.given["path"], b"", {}, "GET")
                        attacker.count(f"page {status}")
            except (OSError, EOFError, TimeoutError) as error:
                attacker.count(type(error).__name__)

    await attacker.many(_CONNECTIONS, work)


def _prepare(world: World) -> Given:
    build = write_large_record(world.server, _STEPS, _LINES)
    shared = world.server.call("depot.core.v1.BuildService/ShareBuild", {"buildId": build})
    return {"path": shared.body["shareUrl"].removeprefix(world.server.url)}


ATTACKS = [Attack("14", "a shared build's page, ten at once", Credential.LINK, _view, _prepare)]
