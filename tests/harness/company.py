"""A company's OpenID Connect provider on loopback: it asks nobody anything, and says who the next person is."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.harness.issuer import Issuer

CLIENT_ID, CLIENT_SECRET = "stoker-here", "between-us"


@dataclass
class Company:
    """The provider. ``person`` holds the claims of whoever signs in next; ``spoil`` changes what the ID token says."""

    person: dict[str, Any] = field(default_factory=dict[str, Any])
    spoil: dict[str, Any] = field(default_factory=dict[str, Any])
    in_user_info: tuple[str, ...] = ()
    refuses: str = ""
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def __post_init__(self) -> None:
        company = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                company._get(self)

            def do_POST(self) -> None:
                company._token(self)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._keys = Issuer(self.url, audience=CLIENT_ID)
        self._codes: dict[str, dict[str, str]] = {}
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        if parts.path == "/authorize":
            self._authorize(request, dict(parse_qsl(parts.query)))
            return
        documents = dict(self._keys.documents)
        documents[f"{self.url}/.well-known/openid-configuration"] |= {
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
        }
        if request.headers.get("authorization") == "Bearer for-user-info":
            documents[f"{self.url}/userinfo"] = {"sub": self.person["sub"]} | {
                name: self.person[name] for name in self.in_user_info
            }
        found = documents.get(self.url + parts.path)
        _send(request, 404 if found is None else 200, found or {})

    def _authorize(self, request: BaseHTTPRequestHandler, asked: dict[str, str]) -> None:
        self.asked.append(asked)
        answer = {"state": asked["state"], "iss": self.url}
        if self.refuses:
            answer["error"] = self.refuses
        else:
            code = answer["code"] = secrets.token_hex(8)
            self._codes[code] = asked
        request.send_response(302)
        request.send_header("location", f"{asked['redirect_uri']}?{urlencode(answer)}")
        request.send_header("content-length", "0")
        request.end_headers()

    def _token(self, request: BaseHTTPRequestHandler) -> None:
        form = dict(parse_qsl(request.rfile.read(int(request.headers["content-length"])).decode()))
        asked = self._codes.pop(form.get("code", ""), None)
        credentials = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or request.headers.get("authorization") != f"Basic {credentials}"
            or asked["code_challenge_method"] != "S256"
            or asked["code_challenge"] != challenge.rstrip(b"=").decode()
            or asked["redirect_uri"] != form.get("redirect_uri")
        ):
            _send(request, 400, {"error": "invalid_grant"})
            return
        claims = {name: value for name, value in self.person.items() if name not in self.in_user_info}
        token = self._keys.token(**{"nonce": asked["nonce"]} | claims | self.spoil)
        _send(request, 200, {"access_token": "for-user-info", "token_type": "Bearer", "id_token": token})


def _send(request: BaseHTTPRequestHandler, status: int, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    request.send_response(status)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
