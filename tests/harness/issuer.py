"""A real OIDC issuer on loopback: it publishes its keys, signs tokens, rotates, and can be down or slow."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

AUDIENCE = "https://depot.dev"
ORGANIZATION = "11111111-2222-4333-8444-555555555555"


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@dataclass
class Issuer:
    """One issuer. ``serve`` says what it answers: its keys, a 503, or nothing until ``released``."""

    url: str
    algorithm: str = "RS256"
    audience: str = AUDIENCE
    serve: str = "keys"
    released: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    keys: list[RSAKey | ECKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rotate()

    def rotate(self) -> None:
        """Sign with a new key from now on, and publish it alone."""
        parameters = {"kid": f"key-{time.monotonic_ns()}", "use": "sig", "alg": self.algorithm}
        new = (
            RSAKey.generate_key(2048, parameters)
            if self.algorithm.startswith("RS")
            else ECKey.generate_key("P-256", parameters)
        )
        self.keys = [new]

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        standard = {"iss": self.url, "aud": self.audience, "sub": "test", "iat": now, "nbf": now, "exp": now + 300}
        return {name: value for name, value in (standard | changed).items() if value is not None}

    def token(self, *, key: RSAKey | ECKey | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A signed token; a claim that is None is left out."""
        key = key or self.keys[-1]
        whole = {"alg": self.algorithm, "kid": key.kid} | (header or {})
        return jwt.encode(whole, self.claims(**claims), key, algorithms=[self.algorithm])

    def unsigned(self, header: dict[str, Any], **claims: Any) -> str:
        """A token without a signature."""
        return f"{_part(header)}.{_part(self.claims(**claims))}."

    @property
    def documents(self) -> dict[str, Any]:
        """What it publishes, by URL."""
        return {
            f"{self.url}/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"},
            f"{self.url}/jwks": {"keys": [key.as_dict(private=False) for key in self.keys]},
        }


class IssuerHost:
    """An HTTP server with several issuers."""

    def __init__(self) -> None:
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host._answer(self)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.issuers: dict[str, Issuer] = {}
        self._given: dict[str, dict[str, Any]] = {}
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, path: str, **settings: str) -> Issuer:
        issuer = Issuer(f"{self.url}/{path}", **settings)
        self.issuers[path] = issuer
        return issuer

    @contextmanager
    def giving(self, path: str, document: dict[str, Any]) -> Generator[str]:
        """Answer a URL with a document, as the runner of a CI does that gives its jobs tokens."""
        url = f"{self.url}/{path}"
        self._given[url] = document
        yield url
        del self._given[url]

    def close(self) -> None:
        for issuer in self.issuers.values():
            issuer.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        url = self.url + request.path.partition("?")[0]
        issuer = next((one for one in self.issuers.values() if url in one.documents), None)
        if issuer is not None:
            issuer.asked.set()
            if issuer.serve == "nothing":
                issuer.released.wait(60)
        documents = self._given if issuer is None else {} if issuer.serve == "down" else issuer.documents
        body = json.dumps(documents.get(url, {})).encode()
        request.send_response(200 if url in documents else 404 if issuer is None else 503)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
