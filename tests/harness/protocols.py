"""All methods of the API, and how each protocol writes a request and says what became of it."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from connectrpc.code import Code
from pyqwest import FullResponse

from tests.contract.test_wire import WIRE
from tests.harness.descriptors import contract_of
from tests.harness.own_protos import OWN_FILES

GRPC_CODES = dict(enumerate(["ok", *(code.value for code in Code)]))
OWN = contract_of(file.proto for file in OWN_FILES)
CONTRACT = {part: WIRE[part] | getattr(OWN, part) for part in ("services", "messages", "enums")}
METHODS = [
    *(
        (service, name, method["input"], method["kind"])
        for service, methods in CONTRACT["services"].items()
        for name, method in methods.items()
    ),
    ("grpc.reflection.v1.ServerReflection", "ServerReflectionInfo", "", "bidi_streaming"),
    ("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo", "", "bidi_streaming"),
    ("depot.core.v1.ProjectService", "Nope", "", "unary"),
]


@dataclass(frozen=True)
class Request:
    """What is sent."""

    method: str
    protocol: str
    version: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Outcome:
    """What came back: "ok", an error's code, or the status of an answer that is outside the protocols."""

    code: str
    message: str


def content_type(protocol: str, codec: str, *, streaming: bool) -> str:
    """The content type of a request."""
    if protocol == "connect":
        return f"application/connect+{codec}" if streaming else f"application/{codec}"
    return f"application/{protocol}+{codec}"


def encoding_header(protocol: str, *, streaming: bool) -> str:
    """The header that names a request's compression."""
    if protocol == "connect":
        return "connect-content-encoding" if streaming else "content-encoding"
    return "grpc-encoding"


def outcome(request: Request, response: FullResponse) -> Outcome:
    """Read an answer as a client of the request's protocol does."""
    content = response.content
    status = response.headers.get("grpc-status")
    if status is not None:  # an answer of trailers only
        return Outcome(GRPC_CODES[int(status)], unquote(response.headers.get("grpc-message", "")))
    if response.status != 200:
        if response.headers.get("content-type") != "application/json":
            return Outcome(f"HTTP {response.status}", content.decode())
        answer = json.loads(content)
        return Outcome(answer["code"], answer.get("message", ""))
    if response.headers["content-type"] in ("application/json", "application/proto"):
        return Outcome("ok", "")
    if request.protocol == "grpc":
        message = unquote(response.trailers.get("grpc-message", ""))
        return Outcome(GRPC_CODES[int(response.trailers["grpc-status"])], message)
    *_, (flags, end) = _frames(content)
    if response.headers.get("connect-content-encoding") == "gzip" or (flags & 1 and request.protocol == "grpc-web"):
        end = gzip.decompress(end)
    if flags & 0x80:
        trailers = dict(line.split(":", 1) for line in end.decode().strip().lower().split("\r\n"))
        return Outcome(GRPC_CODES[int(trailers["grpc-status"])], unquote(trailers.get("grpc-message", "")))
    error = json.loads(end).get("error")
    return Outcome("ok", "") if error is None else Outcome(error["code"], error.get("message", ""))


def _frames(content: bytes) -> Iterator[tuple[int, bytes]]:
    while content:
        flags, length = struct.unpack_from(">BI", content)
        yield flags, content[5 : 5 + length]
        content = content[5 + length :]
