"""When a token was last used is written down, soon after and at the end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from stoker.domain.people import Role
from stoker.domain.principals import CredentialKind
from stoker.store.tables.columns import microseconds
from tests.harness.people import Registry, blank_token
from tests.harness.server import Server
from tests.harness.waiting import eventually

PROJECTS = "depot.core.v1.ProjectService"


def last_use(server: Server, token_id: str) -> int | None:
    return server.query("select last_used_at from tokens where id = ?", token_id)[0][0]


def new_token(server: Server) -> tuple[str, str]:
    created = server.call(f"{PROJECTS}/CreateToken", {"projectId": server.project}).body
    return created["tokenId"], created["secret"]


@pytest.fixture(scope="module")
def prompt(make_server: Callable[..., Server]) -> Server:
    """A server that writes uses down at once."""
    return make_server(token_use_seconds="1")


def test_a_use_is_written_down_soon_after(prompt: Server) -> None:
    server = prompt
    revoked_id, revoked = new_token(server)
    server.call(f"{PROJECTS}/DeleteToken", {"tokenId": revoked_id})
    assert server.call(f"{PROJECTS}/ListProjects", token=revoked).code == "unauthenticated"
    token_id, secret = new_token(server)
    before = microseconds(datetime.now(UTC))

    # Also of a call that is refused for other reasons than the token.
    assert server.call(f"{PROJECTS}/ListTokens", token=secret).code == "permission_denied"

    eventually(lambda: last_use(server, token_id), "the use is stored")
    assert before <= (last_use(server, token_id) or 0) <= microseconds(datetime.now(UTC))
    assert last_use(server, revoked_id) is None, "it opened nothing"


def test_an_owner_sees_when_an_organizations_tokens_were_last_used(prompt: Server) -> None:
    server = prompt
    organization = server.first["DEPOT_ORG_ID"]
    registry = Registry(server)
    owner = registry.person("owner", **{f"o{organization}": Role.OWNER})
    registry.token(blank_token(CredentialKind.ORGANIZATION, organization_id=organization))
    assert server.call(f"{PROJECTS}/ListProjects").status == 200

    def uses() -> list[str | None]:
        answer = server.call("stoker.v1.OrganizationService/ListTokens", token=owner.token)
        return [token.get("lastUsedAt") for token in answer.body["tokens"]]

    eventually(lambda: uses()[0], "the use is listed")
    assert uses()[1:] == [None]


def test_a_use_is_written_down_when_the_server_stops(make_server: Callable[..., Server]) -> None:
    server = make_server(token_use_seconds="3600")
    token_id, secret = new_token(server)
    assert server.call(f"{PROJECTS}/ListProjects", token=secret).status == 200
    assert last_use(server, token_id) is None, "no request writes it"
    server.stop()
    assert last_use(server, token_id) is not None
