"""19: calls that the gateway refuses, without end, and very many builds that wait."""

from __future__ import annotations

import asyncio

from tests.attack.framework.attack import Attack, Attacker, Credential, Given, gateway_address, gateway_tls
from tests.attack.framework.http1 import call_once, enveloped
from tests.attack.framework.http2 import http2
from tests.attack.framework.world import CREATE_BUILD, World

_QUESTIONS_A_SECOND = 600
_BUILDS_A_SECOND = 30
_ASK = "depot.cli.v1.BuildService/GetBuildKitConnection"
_REFUSED = ("Prune", "DiskUsage", "UpdateBuildHistory", "Info?x", "Nothing")


async def _ask(attacker: Attacker) -> None:
    tls = gateway_tls(attacker.given)

    async def work(_: int) -> None:
        while True:
            await attacker.turn(_QUESTIONS_A_SECOND)
            try:
                async with http2(gateway_address(attacker.given), tls, attacker.given["server_name"]) as connection:
                    while not connection.closed.is_set():
                        await attacker.turn(_QUESTIONS_A_SECOND)
                        method = attacker.chance.choice(_REFUSED)
                        headers = {"content-type": "application/grpc", "te": "trailers"}
                        stream = await connection.open(f"/moby.buildkit.v1.Control/{method}", headers)
                        await connection.send(stream, enveloped(b""), end=True)
                        await stream.ended.wait()
                        attacker.count(stream.outcome)
            except OSError as error:
                attacker.count(type(error).__name__)

    await attacker.many(8, work)


async def _queue(attacker: Attacker) -> None:
    project, token = {"projectId": attacker.given["project"]}, attacker.given["project_token"]
    waiting: set[asyncio.Task[None]] = set()

    async def wait() -> str:
        attacker.count("asked")
        status, made = await call_once(attacker.api, CREATE_BUILD, project, token, "127.0.0.2")
        if status != 200:
            return f"build {status}"
        asked = {"buildId": made["buildId"], "platform": "BUILDER_PLATFORM_AMD64"}
        status, answer = await call_once(attacker.api, _ASK, asked, made["buildToken"], "127.0.0.2")
        return f"endpoint {status} {'active' if 'active' in answer else 'pending'}"

    try:
        while True:
            await attacker.turn(_BUILDS_A_SECOND)
            waiting.add(asyncio.create_task(attacker.attempt(wait())))
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _prepare_queue(world: World) -> Given:
    project = world.new_project("queue")
    return {"project": project, "project_token": world.new_token(project)}


ATTACKS = [
    Attack(
        "19",
        "calls that the gateway refuses",
        Credential.UNTRUSTED,
        _ask,
        lambda world: world.build_with_endpoint(),
    ),
    Attack("19", "very many builds wait", Credential.PROJECT, _queue, _prepare_queue, most=1500),
]
