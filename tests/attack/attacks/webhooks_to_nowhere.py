"""09: webhooks to addresses that refuse, or that never answer, and builds that end again and again."""

from __future__ import annotations

import asyncio

from tests.attack.framework.attack import Attack, Attacker, Credential, Given
from tests.attack.framework.http1 import call_once
from tests.attack.framework.world import CREATE_BUILD, FINISH_BUILD, World

_HOOKS = 20
_BUILDS_A_SECOND = 20
_CREATE = "stoker.v1.WebhookService/CreateWebhook"


async def _build(attacker: Attacker) -> None:
    project = {"projectId": attacker.given["project"]}
    token = attacker.given["project_token"]

    async def answer_never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    async def create(number: int, port: int) -> str:
        url = f"http://127.0.0.9:{port if number % 2 else 1}/{number}"
        status, _ = await call_once(attacker.api, _CREATE, {**project, "url": url}, attacker.given["owner_token"])
        return f"webhook {status}"

    async def build() -> str:
        status, made = await call_once(attacker.api, CREATE_BUILD, project, token, "127.0.0.2")
        if status != 200:
            return f"build {status}"
        ended = {"buildId": made["buildId"], "success": {}}
        status, _ = await call_once(attacker.api, FINISH_BUILD, ended, token, "127.0.0.2")
        return f"build ended {status}"

    silent = await asyncio.start_server(answer_never, "127.0.0.9", 0)
    port = silent.sockets[0].getsockname()[1]
    for number in range(_HOOKS):
        await attacker.attempt(create(number, port))
    while True:
        await attacker.turn(_BUILDS_A_SECOND)
        await attacker.attempt(build())


def _prepare(world: World) -> Given:
    project = world.new_project("webhooks")
    return {"project": project, "project_token": world.new_token(project), "owner_token": world.owner.token}


ATTACKS = [Attack("09", "webhooks to nowhere", Credential.OWNER, _build, _prepare)]
