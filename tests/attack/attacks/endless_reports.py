"""04: reports of a build without end: Dockerfiles, warnings, transfers, names and errors of steps, timings."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

from tests.attack.framework.attack import Attack, Attacker, Credential, Given
from tests.attack.framework.http1 import http1, json_headers
from tests.attack.framework.world import World

_PER_SECOND = 8
_SERVICE = "/depot.cli.v1.BuildService"
_TEXT = "x" * 20_000
_LOG = base64.b64encode(b"a line of a log\n" * 60).decode()
_MOST_BYTES = 150 * 1024**2
"""What one build may have stored, with all that is around it in the database."""


def _dockerfiles(name: str) -> tuple[str, dict[str, Any]]:
    files = [{"target": "", "filename": f"{name}-{number}", "contents": _TEXT} for number in range(100)]
    return "ReportBuildContext", {"dockerfiles": files}


def _warnings(name: str) -> tuple[str, dict[str, Any]]:
    warnings = [{"vertex": name, "level": 1, "short": "eA==", "url": f"http://x/{name}{at}"} for at in range(1000)]
    return "ReportStatus", {"statuses": [{"warnings": warnings}]}


def _transfers(name: str) -> tuple[str, dict[str, Any]]:
    vertexes = [{"digest": f"{name}{at}", "name": "x"} for at in range(20)]
    statuses = [
        {"ID": f"{at} {_TEXT[:3000]}", "vertex": f"{name}{at % 20}", "current": 1, "total": 2} for at in range(500)
    ]
    return "ReportStatus", {"statuses": [{"vertexes": vertexes, "statuses": statuses}]}


def _names_and_errors(name: str) -> tuple[str, dict[str, Any]]:
    vertexes = [{"digest": f"{name}{at}", "name": f"{at}{_TEXT}", "error": _TEXT} for at in range(50)]
    return "ReportStatus", {"statuses": [{"vertexes": vertexes}]}


def _logs(name: str) -> tuple[str, dict[str, Any]]:
    logs = [{"vertex": name, "stream": 1, "msg": _LOG} for _ in range(200)]
    return "ReportStatus", {"statuses": [{"vertexes": [{"digest": name, "name": "x"}], "logs": logs}]}


def _timings(name: str) -> tuple[str, dict[str, Any]]:
    steps = [{"name": f"{name}{at}{_TEXT[:2000]}", "durationMs": 1, "stableDigest": f"{name}{at}"} for at in range(500)]
    return "ReportTimings", {"buildSteps": steps}


_KINDS = (_dockerfiles, _warnings, _transfers, _names_and_errors, _logs, _timings)


async def _report(attacker: Attacker) -> None:
    async def report(method: str, request: dict[str, Any]) -> str:
        body = json.dumps({"buildId": attacker.given["build"], **request}).encode()
        async with http1(attacker.api, "127.0.0.2") as connection:
            status, _ = await connection.call(f"{_SERVICE}/{method}", body, json_headers(attacker.given["token"]))
            return f"{method} {status}"

    while True:
        for kind in _KINDS:
            await attacker.turn(_PER_SECOND)
            await attacker.attempt(report(*kind(f"{attacker.chance.getrandbits(40):x}")))


def _prepare(world: World) -> Given:
    return world.build_with_token() | {"database": _database_bytes(world)}


def _little_is_stored(world: World, given: Given, _: Counter[str]) -> None:
    stored = _database_bytes(world) - given["database"]
    assert stored < _MOST_BYTES, f"one build had {stored / 1024**2:.0f} MB stored"


def _database_bytes(world: World) -> int:
    return sum(path.stat().st_size for path in world.server.data.glob("stoker.db*"))


ATTACKS = [Attack("04", "reports without end", Credential.UNTRUSTED, _report, _prepare, _little_is_stored)]
