"""curl, as the documentation's examples use it."""

from __future__ import annotations

import json
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.server import Server

_FRAME = struct.Struct(">BI")
_END_OF_STREAM = 0x02

HTTP_1 = "--http1.1"
H2C = "--http2-prior-knowledge"


@dataclass(frozen=True)
class Reply:
    """What curl printed."""

    status: int
    http_version: str
    content_type: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def messages(self) -> list[Any]:
        """The messages of a stream, which must have ended without an error."""
        *messages, (flags, end) = unframed(self.body)
        assert flags == _END_OF_STREAM, "the stream was cut"
        assert "error" not in end, end
        return [message for _, message in messages]

    @property
    def stream_error(self) -> dict[str, str]:
        """The error with which a stream ended."""
        flags, end = unframed(self.body)[-1]
        assert flags == _END_OF_STREAM, "the stream was cut"
        return end["error"]


def framed(*messages: object) -> bytes:
    """Messages as Connect's streams carry them: a byte of flags, four of length, then JSON."""
    encoded = [json.dumps(message).encode() for message in messages]
    return b"".join(_FRAME.pack(0, len(part)) + part for part in encoded)


def unframed(body: bytes) -> list[tuple[int, Any]]:
    """(flags, message) of each frame."""
    found: list[tuple[int, Any]] = []
    while body:
        flags, length = _FRAME.unpack_from(body)
        content = body[_FRAME.size : _FRAME.size + length]
        assert len(content) == length, "the last frame is cut"
        found.append((flags, json.loads(content)))
        body = body[_FRAME.size + length :]
    return found


@dataclass(frozen=True)
class Curl:
    """Calls methods of a server over one version of HTTP."""

    server: Server
    version: str
    folder: Path

    def __call__(
        self, method: str, body: bytes, *, token: str | None = None, content_type: str = "application/json"
    ) -> Reply:
        """POST a body. ``token`` is the organization's unless given."""
        bearer = self.server.token if token is None else token
        answer = self.folder / "answer"
        command = ["curl", "--silent", "--show-error", "--max-time", "60", self.version, "--data-binary", "@-"]
        command += ["--header", f"Authorization: Bearer {bearer}", "--header", f"Content-Type: {content_type}"]
        command += ["--output", str(answer), "--write-out", "%{http_code} %{http_version} %{content_type}"]
        done = subprocess.run(
            [*command, f"{self.server.url}/{method}"], input=body, capture_output=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        status, version, kind = done.stdout.decode().split(" ", 2)
        return Reply(int(status), version, kind, answer.read_bytes())

    def unary(self, method: str, request: object, *, token: str | None = None) -> Reply:
        """Call a unary method with JSON."""
        return self(method, json.dumps(request).encode(), token=token)

    def stream(self, method: str, *messages: object, token: str | None = None) -> Reply:
        """Call a streaming method with JSON messages."""
        return self(method, framed(*messages), token=token, content_type="application/connect+json")
