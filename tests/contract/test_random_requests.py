"""Random and mutated requests: whatever comes, the answer is an answer, and nothing is half-written.

STOKER_RANDOM_REQUESTS says how many; the default keeps `make test` short.
"""

from __future__ import annotations

import http.client
import json
import os
import random
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.contract.test_wire import WIRE
from tests.harness.server import Server

COUNT = int(os.environ.get("STOKER_RANDOM_REQUESTS", "2000"))
SEED = int(os.environ.get("STOKER_RANDOM_SEED", "1"))
UNARY = [
    (service, name, method["input"])
    for service, methods in WIRE["services"].items()
    for name, method in methods.items()
    if method["kind"] == "unary"
    and name not in ("DeleteProject", "ResetProject", "ResetProjectCache", "GetBuildKitConnection")
]
ODD_VALUES: list[Any] = [
    None, True, 0, -1, 1.5, 2**31, 2**63, -(2**63), 1e400, "", " ", "x" * 5000, "\x00", "\ud83d\ude00", "../..",
    "' OR 1=1 --",
    "0000000000000000", "PLATFORM_AMD64", "99", [], {}, [[]], {"a": {"b": []}}, "2026-01-01T00:00:00Z", "NaN",
]  # fmt: skip


def random_message(rng: random.Random, name: str, ids: list[str], depth: int = 0) -> Any:
    """A message of a type, right in some places and wrong in others."""
    if name not in WIRE["messages"] or depth > 4:
        return rng.choice(ODD_VALUES)
    message: dict[str, Any] = {}
    for field, shape in WIRE["messages"][name].items():
        if rng.random() < 0.35:
            continue
        value = random_value(rng, shape, ids, depth)
        message[field if rng.random() < 0.5 else camel(field)] = value
    if rng.random() < 0.1:
        message[rng.choice(["nope", "__proto__", ""])] = rng.choice(ODD_VALUES)
    return message


def random_value(rng: random.Random, shape: dict[str, Any], ids: list[str], depth: int) -> Any:
    if rng.random() < 0.25:
        return rng.choice(ODD_VALUES)
    if shape["type"] in WIRE["messages"]:
        value = random_message(rng, shape["type"], ids, depth + 1)
    elif shape["type"] == "string":
        value = rng.choice([*ids, "us-east-1", "a name", "π"])
    else:
        value = rng.choice([0, 1, 2, 7, "5"])
    return [value] * rng.randint(0, 3) if shape.get("repeated") else value


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def mutated(rng: random.Random, body: bytes) -> bytes:
    """Some bytes changed, cut or doubled."""
    data = bytearray(body)
    for _ in range(rng.randint(0, 3)):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(3):
            case 0:
                data[place:place] = bytes([rng.randrange(256)])
            case 1:
                del data[place : place + rng.randint(1, 5)]
            case _:
                data[place:place] = data[:place][-20:]
    return bytes(data)


def requests(rng: random.Random, ids: list[str]) -> Iterator[tuple[str, str, bytes]]:
    """(path, content type, body), without end."""
    while True:
        service, name, message = rng.choice(UNARY)
        if rng.random() < 0.7:
            body = json.dumps(random_message(rng, message, ids)).encode(errors="surrogatepass")
            yield f"/{service}/{name}", "application/json", mutated(rng, body) if rng.random() < 0.3 else body
        else:
            yield f"/{service}/{name}", "application/proto", rng.randbytes(rng.randint(0, 60))


@pytest.mark.timeout(900)
def test_no_request_gets_an_internal_error(server: Server) -> None:
    rng = random.Random(SEED)  # noqa: S311
    ids = [server.new_project("random"), *server.new_build(), server.first["DEPOT_ORG_ID"]]
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)) as connection:
        for number, (path, content_type, body) in zip(range(COUNT), requests(rng, ids), strict=False):
            headers = {"content-type": content_type, "authorization": f"Bearer {server.token}"}
            what = f"request {number} of seed {SEED}: {path} {content_type} {body!r}"
            try:
                connection.request("POST", path, body, headers)
                response = connection.getresponse()
                content = response.read()
            except OSError as error:
                pytest.fail(f"{what} got {error!r}")
            if response.status != 200:
                answer = json.loads(content)
                what += f" got {answer}"
                assert answer["code"] not in ("internal", "unknown"), what
                assert "Traceback" not in answer["message"], what
                assert len(answer["message"]) < 2000, what


def test_nothing_is_half_written(server: Server) -> None:
    orphans = [
        "select count(*) from builds where project_id not in (select id from projects)",
        "select count(*) from tokens where kind = 'build' and build_id not in (select id from builds)",
        "select count(*) from builds where id not in (select build_id from tokens where build_id is not null)",
        "select count(*) from builds where (finished_at is null) != (status = 'running')",
        "select count(*) from projects where trim(name) = '' or keep_bytes <= 0 or keep_days <= 0",
    ]
    assert [server.query(query)[0][0] for query in orphans] == [0] * len(orphans)
    assert server.query("pragma integrity_check") == [("ok",)]
    assert server.query("pragma foreign_key_check") == []
