"""Random and mutated requests: whatever comes, the answer is an answer, and nothing is half-written.

Every method is called in all three protocols, over both versions of HTTP, with JSON and with protobuf, and with
messages that are right, a little wrong, or noise. STOKER_RANDOM_REQUESTS says how many; the default keeps `make test`
short.
"""

from __future__ import annotations

import gzip
import os
import random
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from pyqwest import HTTPVersion, SyncClient, SyncHTTPTransport

from stoker.domain.people import Role
from stoker.domain.principals import CredentialKind
from tests.harness.people import Account, Registry, blank_token
from tests.harness.protocols import CONTRACT, METHODS, Request, content_type, encoding_header, outcome
from tests.harness.server import Server
from tests.harness.wire_values import RandomMessages, mutated

COUNT = int(os.environ.get("STOKER_RANDOM_REQUESTS", "3000"))
SEED = int(os.environ.get("STOKER_RANDOM_SEED", "1"))
FRESH_EVERY = 200  # requests after which there is a new project and a new build to aim at
NEVER = ("internal", "unknown", "data_loss")
# gRPC says that this, and nothing else, is `internal` (PROTOCOL-HTTP2.md, "Compressed-Flag").
PRESCRIBED = "protocol error: sent compressed message without compression support"


class RandomRequests:
    """Makes requests, at what `aim` was told last."""

    def __init__(self, rng: random.Random, token: str, organization: str, owner: Account) -> None:
        self._rng = rng
        self._token = token
        self._owner_token = owner.token
        self._build_token = ""
        self._known = [organization, owner.email]
        self._ids: list[str] = []

    def aim(self, project: str, build: str, build_token: str) -> None:
        self._ids = [*self._known, project, project, build, build]
        self._build_token = build_token

    def log_in(self, owner_token: str) -> None:
        self._owner_token = owner_token

    def next(self) -> Request:
        rng = self._rng
        service, name, message, kind = rng.choice(METHODS)
        protocol = rng.choice(["connect", "grpc", "grpc-web"])
        codec = rng.choice(["json", "proto"])
        compressed = rng.random() < 0.1
        streaming = protocol != "connect" or kind != "unary"
        body = self._body(message, codec, kind, streaming=streaming, compressed=compressed)
        tokens = [*[self._token] * 3, *[self._owner_token] * 2, self._build_token, "nonsense"]
        headers = {"authorization": f"Bearer {rng.choice(tokens)}", "te": "trailers"}
        headers["content-type"] = content_type(protocol, codec, streaming=streaming)
        if compressed:
            headers[encoding_header(protocol, streaming=streaming)] = "gzip"
        # Nothing waits for long, however well a request names something that one can wait for.
        headers |= {"connect-timeout-ms": "500"} if protocol == "connect" else {"grpc-timeout": "500m"}
        if rng.random() < 0.03:
            headers |= rng.choice(ODD_HEADERS)
        version = "HTTP/2" if protocol == "grpc" or rng.random() < 0.5 else "HTTP/1.1"
        return Request(f"{service}/{name}", protocol, version, headers, body)

    def _body(self, message: str, codec: str, kind: str, *, streaming: bool, compressed: bool) -> bytes:
        rng = self._rng
        if not streaming:
            content = self._message(message, codec)
            return gzip.compress(content, 1) if compressed and rng.random() < 0.8 else content
        count = rng.randint(0, 3) if kind in ("client_streaming", "bidi_streaming") or rng.random() < 0.1 else 1
        frames: list[bytes] = []
        for _ in range(count):
            content = self._message(message, codec)
            flag = compressed and rng.random() < 0.8
            content = gzip.compress(content, 1) if flag else content
            frames.append(struct.pack(">BI", int(flag), len(content)) + content)
        body = b"".join(frames)
        return mutated(rng, body) if rng.random() < 0.1 else body

    def _message(self, name: str, codec: str) -> bytes:
        rng = self._rng
        match rng.randrange(10):
            case 0:
                return rng.randbytes(rng.randint(0, 60))
            case 1 | 2 | 3:
                odd = 0.25
            case _:
                odd = 0.0
        messages = RandomMessages(rng, CONTRACT, self._ids, odd)
        body = messages.json(name) if codec == "json" else messages.protobuf(name)
        return mutated(rng, body) if rng.random() < 0.2 else body


ODD_HEADERS: list[dict[str, str]] = [
    {"connect-timeout-ms": "-1", "grpc-timeout": "99999999999S"},
    {"connect-timeout-ms": "1", "grpc-timeout": "1n"},
    {"content-encoding": "br", "grpc-encoding": "br", "connect-content-encoding": "br"},
    {"connect-protocol-version": "7"},
    {"authorization": "Bearer é"},
    {"authorization": "Basic eDp5"},
    {"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwOi8veCJ9."},
    {"x-depot-org": "../.."},
    {"content-type": "application/nope"},
    {"content-type": "application/grpc+nope"},
    {"accept-encoding": "gzip, nope;q=7", "grpc-accept-encoding": "gzip", "connect-accept-encoding": "gzip"},
]


@pytest.fixture(scope="module")
def target(make_server: Callable[..., Server]) -> Server:
    """A server that has no time to lose, and takes all calls."""
    many = {"requests_per_second": "1000000", "guest_requests_per_second": "1000000"}
    return make_server(connection_hold_seconds="0.1", idle_seconds="0", drain_seconds="0", **many)


@pytest.mark.timeout(1800)
def test_no_request_gets_an_internal_error(target: Server) -> None:
    rng = random.Random(SEED)  # noqa: S311
    organization = target.first["DEPOT_ORG_ID"]
    registry = Registry(target)
    owner = registry.person("owner", **{f"o{organization}": Role.OWNER})
    requests = RandomRequests(rng, target.token, organization, owner)
    outcomes: Counter[tuple[str, str]] = Counter()
    with ExitStack() as stack:
        clients = {
            name: SyncClient(stack.enter_context(SyncHTTPTransport(http_version=version)))
            for name, version in (("HTTP/1.1", HTTPVersion.HTTP1), ("HTTP/2", HTTPVersion.HTTP2))
        }
        for number in range(COUNT):
            if number % FRESH_EVERY == 0:
                project = target.new_project("random")
                requests.aim(project, *target.new_build(project))
            request = requests.next()
            what = f"request {number} of seed {SEED}: {request}"
            try:
                url = f"{target.url}/{request.method}"
                response = clients[request.version].post(url, dict(request.headers), request.body, timeout=30)
            except Exception as error:
                pytest.fail(f"{what} got {error!r}")
            found = outcome(request, response)
            what += f" got {found}"
            assert found.code not in NEVER or found.message == PRESCRIBED, what
            assert "Traceback" not in found.message, what
            assert "\n" not in found.message.strip(), what
            assert len(found.message) < 2000, what
            outcomes[request.method, found.code] += 1
            if request.method.endswith("/LogOut") and found.code == "ok":
                requests.log_in(registry.token(blank_token(CredentialKind.USER, person_id=owner.id)))
    _check_they_reached_something(outcomes)


def _check_they_reached_something(outcomes: Counter[tuple[str, str]]) -> None:
    """Requests that are all refused at the door would show nothing."""
    succeeded = sum(count for (_, code), count in outcomes.items() if code == "ok")
    assert succeeded > COUNT / 20, outcomes
    if COUNT >= 3000:
        assert {method for method, _ in outcomes} == {f"{service}/{name}" for service, name, *_ in METHODS}


def test_nothing_is_half_written(target: Server) -> None:
    orphans = [
        "select count(*) from builds where project_id not in (select id from projects)",
        "select count(*) from tokens where kind = 'build' and build_id not in (select id from builds)",
        "select count(*) from tokens where project_id is not null and project_id not in (select id from projects)",
        "select count(*) from builds where id not in (select build_id from tokens where build_id is not null)",
        "select count(*) from builds where (finished_at is null) != (status = 'running')",
        "select count(*) from projects where trim(name) = '' or keep_bytes <= 0 or keep_days < 0",
        "select count(*) from trust_policies where project_id not in (select id from projects)",
    ]
    assert [target.query(query)[0][0] for query in orphans] == [0] * len(orphans)
    if not target.database.database:  # PostgreSQL checks foreign keys itself
        assert target.query("pragma integrity_check") == [("ok",)]
        assert target.query("pragma foreign_key_check") == []


def test_nothing_went_wrong_inside(target: Server) -> None:
    log = (target.data / "logs" / "api.log").read_text()
    assert "Traceback" not in log
    assert "error " not in log
