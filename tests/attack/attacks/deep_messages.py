"""01: messages whose levels go deep, for whatever decodes them by calling itself."""

from __future__ import annotations

import json

from tests.attack.framework.attack import Attack, Attacker, Credential
from tests.attack.framework.http1 import enveloped, http1, json_headers
from tests.attack.framework.http2 import http2
from tests.attack.framework.protobuf import groups

_PER_SECOND = 20
_DEPTHS = (4_000, 10_000, 100_000, 1_000_000)
_OPEN = {
    "grpc.health.v1.Health/Check": ("service", "application/json"),
    "grpc.health.v1.Health/Watch": ("service", "application/connect+json"),
    "depot.cli.v1beta1.LoginService/FinishLogin": ("id", "application/connect+json"),
    "depot.cli.v1beta1.LoginService/StartLogin": ("unknown", "application/json"),
}
_WITH_TOKEN = {
    "depot.cli.v1.BuildService/ReportStatus": ("buildId", "application/json"),
    "depot.cli.v1.BuildService/ReportStatusStream": ("buildId", "application/connect+json"),
    "depot.cli.v1.BuildService/ReportTimings": ("buildSteps", "application/json"),
    "depot.cli.v1.BuildService/GetBuild": ("buildId", "application/json"),
}


def _json(field: str, depth: int, shape: str) -> bytes:
    opening, closing = {"arrays": ("[", "]"), "objects": ('{"a":', "}"), "both": ('[{"a":', "}]")}[shape]
    value = opening * depth + "1" + closing * depth
    return f"{{{json.dumps(field)}:{value}}}".encode()


async def _call(attacker: Attacker, path: str, body: bytes, headers: dict[str, str]) -> str:
    async with http1(attacker.api, "127.0.0.2") as connection:
        status, _ = await connection.call(path, body, headers)
        return f"{status}"


async def _grpc(attacker: Attacker, path: str, body: bytes, headers: dict[str, str]) -> str:
    async with http2(attacker.api, source="127.0.0.2") as connection:
        stream = await connection.open(path, headers)
        await connection.send(stream, enveloped(body), end=True)
        await stream.ended.wait()
        return f"gRPC {stream.outcome}"


async def _attack(attacker: Attacker, methods: dict[str, tuple[str, str]], token: str) -> None:
    while True:
        for method, (field, kind) in methods.items():
            await attacker.turn(_PER_SECOND)
            depth = attacker.chance.choice(_DEPTHS)
            variant = attacker.chance.choice(["arrays", "objects", "both", "groups", "h2c"])
            headers = json_headers(token) | {"content-type": kind}
            if variant in ("groups", "h2c"):
                headers["content-type"] = "application/grpc" if variant == "groups" else "application/grpc+json"
                body = groups(1, depth) if variant == "groups" else _json(field, depth, "arrays")
                await attacker.attempt(_grpc(attacker, f"/{method}", body, headers | {"te": "trailers"}))
            else:
                body = _json(field, depth, variant)
                body = enveloped(body) if "connect" in kind else body
                await attacker.attempt(_call(attacker, f"/{method}", body, headers))


async def _as_stranger(attacker: Attacker) -> None:
    await _attack(attacker, _OPEN, "")


async def _with_token(attacker: Attacker) -> None:
    await _attack(attacker, _OPEN | _WITH_TOKEN, attacker.given["token"])


ATTACKS = [
    Attack("01", "deep messages, without a token", Credential.NONE, _as_stranger),
    Attack(
        "01", "deep messages, with a token", Credential.UNTRUSTED, _with_token, lambda world: world.build_with_token()
    ),
]
