"""When a token was last used is written down, soon after and at the end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from stoker.store.tables import microseconds
from tests.harness.server import Server
from tests.harness.waiting import eventually

PROJECTS = "depot.core.v1.ProjectService"


def last_use(server: Server, token_id: str) -> int | None:
    return server.query("select last_used_at from tokens where id = ?", token_id)[0][0]


def new_token(server: Server) -> tuple[str, str]:
    created = server.call(f"{PROJECTS}/CreateToken", {"projectId": server.project}).body
    return created["tokenId"], created["secret"]


def test_a_use_is_written_down_soon_after(make_server: Callable[..., Server]) -> None:
    server = make_server(token_use_seconds="1")
    token_id, secret = new_token(server)
    before = microseconds(datetime.now(UTC))

    # Also of a call that is refused for other reasons than the token.
    assert server.call(f"{PROJECTS}/ListTokens", token=secret).code == "permission_denied"

    eventually(lambda: last_use(server, token_id), "the use is stored")
    assert before <= (last_use(server, token_id) or 0) <= microseconds(datetime.now(UTC))
    revoked_id, revoked = new_token(server)
    server.call(f"{PROJECTS}/DeleteToken", {"tokenId": revoked_id})
    assert server.call(f"{PROJECTS}/ListProjects", token=revoked).code == "unauthenticated"
    server.stop()
    assert last_use(server, revoked_id) is None, "it opened nothing"


def test_a_use_is_written_down_when_the_server_stops(make_server: Callable[..., Server]) -> None:
    server = make_server(token_use_seconds="3600")
    token_id, secret = new_token(server)
    assert server.call(f"{PROJECTS}/ListProjects", token=secret).status == 200
    assert last_use(server, token_id) is None, "no request writes it"
    server.stop()
    assert last_use(server, token_id) is not None
