"""03: reports and solves of very many vertexes, for whatever counts them again and again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.attack.framework.attack import Attack, Attacker, Credential, Given, gateway_address, gateway_tls
from tests.attack.framework.http1 import enveloped, http1, json_headers
from tests.attack.framework.http2 import http2
from tests.attack.framework.protobuf import many_vertexes, solve
from tests.attack.framework.world import World

_REPORTS_A_SECOND = 2
_SOLVES_A_SECOND = 0.5
_REPORT = "/depot.cli.v1.BuildService/ReportStatus"
_SOLVE = "/moby.buildkit.v1.Control/Solve"
_COUNTS = (20_000, 50_000)
_VERTEXES_OF_A_SOLVE = 30_000


def _vertexes(attacker: Attacker, count: int) -> list[dict[str, Any]]:
    prefix = f"{attacker.chance.getrandbits(32):x}"
    return [{"digest": f"{prefix}{number}"} for number in range(count)]


def _statuses(attacker: Attacker, count: int) -> list[dict[str, Any]]:
    vertex = f"{attacker.chance.getrandbits(32):x}"
    return [{"ID": f"{number}", "vertex": vertex, "current": 1, "total": 2} for number in range(count)]


async def _report(attacker: Attacker) -> None:
    async def report(status: dict[str, Any]) -> str:
        request = {"buildId": attacker.given["build"], "statuses": [status]}
        headers = json_headers(attacker.given["token"])
        async with http1(attacker.api, "127.0.0.2") as connection:
            answered, _ = await connection.call(_REPORT, json.dumps(request).encode(), headers)
            return f"report {answered}"

    while True:
        await attacker.turn(_REPORTS_A_SECOND)
        count = attacker.chance.choice(_COUNTS)
        variant = attacker.chance.choice(["vertexes", "vertexes", "linked", "statuses"])
        status: dict[str, Any] = {"vertexes": _vertexes(attacker, count)}
        if variant == "linked":
            status = {"vertexes": _vertexes(attacker, count // 2)}
            for one, before in zip(status["vertexes"][1:], status["vertexes"], strict=False):
                one["inputs"] = [before["digest"]]
        if variant == "statuses":
            status = {"statuses": _statuses(attacker, count // 2)}
        await attacker.attempt(report(status))


async def _solve(attacker: Attacker) -> None:
    tls = gateway_tls(attacker.given)
    definition = Path(attacker.given["definition"]).read_bytes()
    async with http2(gateway_address(attacker.given), tls, attacker.given["server_name"]) as connection:

        async def send() -> str:
            name = f"{attacker.chance.getrandbits(64):x}"
            stream = await connection.open(_SOLVE, {"content-type": "application/grpc", "te": "trailers"})
            await connection.send(stream, enveloped(solve(name, definition=definition)), end=True)
            attacker.count("solve sent")
            await stream.ended.wait()
            return f"solve {stream.outcome}"

        while True:
            await attacker.turn(_SOLVES_A_SECOND)
            await attacker.attempt(send())


def _prepare_solve(world: World) -> Given:
    definition = world.folder / "definition"
    definition.write_bytes(many_vertexes(_VERTEXES_OF_A_SOLVE, "a"))
    return world.build_with_endpoint() | {"definition": str(definition)}


ATTACKS = [
    Attack("03", "reports of 50,000 vertexes", Credential.UNTRUSTED, _report, lambda world: world.build_with_token()),
    Attack("03", "solves of 30,000 vertexes", Credential.UNTRUSTED, _solve, _prepare_solve),
]
