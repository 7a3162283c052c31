"""Messages that are nested deeply are refused, and end nothing, in every method, protocol and codec.

STOKER_NESTED_LEVELS=1000000 sends them to all methods as deep as to the open ones; the default keeps `make test` short.
"""

from __future__ import annotations

import base64
import gzip
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest
from pyqwest import HTTPVersion, SyncClient, SyncHTTPTransport

from stoker.domain.people import Role
from stoker.settings.effective import Settings
from tests.harness.people import Registry
from tests.harness.protocols import CONTRACT, METHODS, Request, content_type, encoding_header, outcome
from tests.harness.server import Server

LEVELS = int(os.environ.get("STOKER_NESTED_LEVELS", "20000"))
STRANGERS_BYTES = 64 * 1024
HEALTH = "grpc.health.v1.Health"
REFLECTION = "ServerReflectionInfo"
OPEN = [
    (HEALTH, "Check", "unary"),
    (HEALTH, "Watch", "server_streaming"),
    ("depot.cli.v1beta1.LoginService", "StartLogin", "unary"),
    ("depot.cli.v1beta1.LoginService", "FinishLogin", "server_streaming"),
    ("grpc.reflection.v1.ServerReflection", REFLECTION, "bidi_streaming"),
    ("grpc.reflection.v1alpha.ServerReflection", REFLECTION, "bidi_streaming"),
]
ALL = [*OPEN[:2], *((service, name, kind) for service, name, _, kind in METHODS if name != "Nope")]
INPUTS = {(service, name): message for service, name, message, _ in METHODS}
WAYS = [("connect", "HTTP/1.1"), ("connect", "HTTP/2"), ("grpc", "HTTP/2"), ("grpc-web", "HTTP/1.1")]


def scalar_field(service: str, name: str) -> str:
    """A field of the method's request that holds no message, where the decoder of JSON doesn't expect a list."""
    if service == HEALTH:
        return "service"
    if name == REFLECTION:
        return "fileByFilename"
    fields = CONTRACT["messages"].get(INPUTS[service, name], {})
    return next((field for field, about in fields.items() if about["type"] in ("string", "bool", "int32")), "x")


def in_field(opening: str, closing: str, levels: int, field: str) -> bytes:
    return f'{{"{field}":{opening * levels}1{closing * levels}}}'.encode()


JSON_SHAPES: dict[str, Callable[[int, str], bytes]] = {
    "lists": partial(in_field, "[", "]"),
    "objects": partial(in_field, '{"":', "}"),
    "both": partial(in_field, '[{"":', "}]"),
    "lists without an end": partial(in_field, "[", ""),
    "a list of lists": lambda levels, _: b"[" * levels + b"]" * levels,
    "a list of objects": lambda levels, _: b'[{"":' * levels,
    "behind a string": lambda levels, field: f'{{"{field}":"\\\\\\"[\\\\","x":{"[" * levels}'.encode(),
}
# Groups of the field 15, which no message has, and of the field 1.
PROTOBUF_SHAPES: dict[str, Callable[[int], bytes]] = {
    "groups": lambda levels: b"\x7b" * levels + b"\x7c" * levels,
    "groups of a known field": lambda levels: b"\x0b" * levels + b"\x0c" * levels,
    "groups without an end": lambda levels: b"\x7b" * levels,
}


def shapes(service: str, name: str, levels: int) -> Iterator[tuple[str, bytes]]:
    """(codec, message) of each shape, in as many levels as fit into the largest message."""
    for make in JSON_SHAPES.values():
        field = scalar_field(service, name)
        content = make(levels, field)
        yield "json", content if len(content) <= 4 << 20 else make(levels * (4 << 20) // len(content) - 100, field)
    for of_groups in PROTOBUF_SHAPES.values():
        yield "proto", of_groups(levels)


def request(
    service: str, name: str, kind: str, way: tuple[str, str], codec: str, message: bytes, token: str, *, packed: bool
) -> Request:
    protocol, version = way
    streaming = protocol != "connect" or kind != "unary"
    content = gzip.compress(message, 1) if packed else message
    headers = {"content-type": content_type(protocol, codec, streaming=streaming), "te": "trailers"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    if packed:
        headers[encoding_header(protocol, streaming=streaming)] = "gzip"
    body = struct.pack(">BI", int(packed), len(content)) + content if streaming else content
    return Request(f"{service}/{name}", protocol, version, headers, body)


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, SyncClient]]:
    with ExitStack() as stack:
        yield {
            name: SyncClient(stack.enter_context(SyncHTTPTransport(http_version=version)))
            for name, version in (("HTTP/1.1", HTTPVersion.HTTP1), ("HTTP/2", HTTPVersion.HTTP2))
        }


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    """A token with which every method can be called: an owner's."""
    return Registry(server).person("nesting", **{f"o{server.first['DEPOT_ORG_ID']}": Role.OWNER}).token


def require_refused(server: Server, clients: dict[str, SyncClient], sent: Request, what: str) -> None:
    response = clients[sent.version].post(f"{server.url}/{sent.method}", dict(sent.headers), sent.body, timeout=60)
    found = outcome(sent, response)
    what = f"{what} of {sent.method} over {sent.protocol}, {sent.version}: {found}"
    if found.code == "resource_exhausted":
        # A stranger's message may not even be as large as that.
        assert f"larger than configured max {STRANGERS_BYTES}" in found.message, what
        return
    assert found.code == "invalid_argument", what
    assert "depth" in found.message or "levels deep" in found.message, what


@pytest.mark.parametrize("levels", [5000, 100_000, 1_000_000])
@pytest.mark.parametrize(("service", "name", "kind"), OPEN, ids=lambda part: part.rpartition(".")[2])
def test_an_open_method_refuses_nesting(
    server: Server, clients: dict[str, SyncClient], service: str, name: str, kind: str, levels: int
) -> None:
    api = server.part("api")
    for number, (codec, message) in enumerate(shapes(service, name, levels)):
        way = WAYS[number % len(WAYS)]
        packed = number % 2 == 1
        sent = request(service, name, kind, way, codec, message, "", packed=packed)
        require_refused(server, clients, sent, f"{codec} {message[:20]!r}")
    assert server.call(f"{HEALTH}/Check", token="").body == {"status": "SERVING"}
    assert server.part("api") == api


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_every_method_refuses_nesting(
    server: Server, clients: dict[str, SyncClient], token: str, way: tuple[str, str]
) -> None:
    api = server.part("api")
    for service, name, kind in ALL:
        for codec, message in shapes(service, name, LEVELS):
            sent = request(service, name, kind, way, codec, message, token, packed=False)
            require_refused(server, clients, sent, f"{codec} {message[:20]!r}")
    assert server.call(f"{HEALTH}/Check", token="").body == {"status": "SERVING"}
    assert server.part("api") == api


@pytest.mark.parametrize("part", ["header", "claims"])
def test_a_token_that_is_nested_is_damaged(server: Server, part: str) -> None:
    nested, plain = (
        b"[" * 4000 + b"]" * 4000,
        b'{"alg":"RS256","kid":"x","iss":"https://token.actions.githubusercontent.com"}',
    )
    written = [base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in (nested, plain)]
    token = ".".join([*(written if part == "header" else reversed(written)), "x"])
    answer = server.call("depot.core.v1.ProjectService/ListProjects", token=token)
    assert answer.code == "unauthenticated"
    assert "damaged" in answer.message, answer.message


def test_a_setting_that_is_nested_is_no_json() -> None:
    with pytest.raises(ValueError, match="it is not JSON"):
        Settings.of({"oidc_providers": "[" * 100_000})


def test_what_is_nested_in_strings_or_side_by_side_is_taken(server: Server) -> None:
    levels = "[" * 60_000
    answer = server.call(f"{HEALTH}/Check", {"service": f'\\"{levels}\\'}, token="")
    assert (answer.code, answer.message[:20]) == ("not_found", "there is no service ")
    flat = {"service": "", "unknown": [[1], {"a": []}] * 2000}
    assert server.call(f"{HEALTH}/Check", flat, token="").status == 200
    deep: object = 1
    for _ in range(98):  # and one more, the message itself
        deep = [deep]
    assert server.call(f"{HEALTH}/Check", {"service": "", "unknown": deep}, token="").status == 200
