"""08: changes without end, each of which is an event of the audit log."""

from __future__ import annotations

from collections import Counter

from tests.attack.framework.attack import Attack, Attacker, Credential, Given
from tests.attack.framework.http1 import call_once, http1
from tests.attack.framework.world import World

_SHARES_A_SECOND = 80
_SIGN_INS_A_SECOND = 5
_SHARE = "depot.core.v1.BuildService/ShareBuild"
_STOP = "depot.core.v1.BuildService/StopSharingBuild"


async def _share(attacker: Attacker) -> None:
    build = {"buildId": attacker.given["build"]}

    async def share_and_stop(method: str) -> str:
        status, _ = await call_once(attacker.api, method, build, attacker.given["project_token"], "127.0.0.2")
        return f"{method.rpartition('/')[2]} {status}"

    while True:
        for method in (_SHARE, _STOP):
            await attacker.turn(_SHARES_A_SECOND)
            await attacker.attempt(share_and_stop(method))


async def _sign_in(attacker: Attacker) -> None:
    host = f"{attacker.api[0]}:{attacker.api[1]}"
    headers = {"content-type": "application/x-www-form-urlencoded", "host": host, "origin": f"http://{host}"}

    async def guess(source: str) -> str:
        async with http1(attacker.api, source) as connection:
            status, _ = await connection.call("/sign-in", b"email=a%40example.com&password=guess", headers)
            return f"sign-in {status}"

    while True:
        await attacker.turn(_SIGN_INS_A_SECOND)
        await attacker.attempt(guess(f"127.0.3.{attacker.chance.randrange(1, 200)}"))


def _prepare(world: World) -> Given:
    build, _ = world.new_build(untrusted=False)
    return {"build": build, "project_token": world.project_token}


def _neighbours_events_are_kept(world: World, _: Given, __: Counter[str]) -> None:
    kept = world.server.query("select count(*) from audit_events where organization_id = ?", world.neighbours)
    assert kept[0][0] >= world.neighbours_events, "events of the neighbours' audit log are gone"


ATTACKS = [
    Attack("08", "builds shared and unshared", Credential.PROJECT, _share, _prepare, _neighbours_events_are_kept),
    Attack("08", "failed sign-ins of many", Credential.NONE, _sign_in, check=_neighbours_events_are_kept),
]
