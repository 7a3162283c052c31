"""The servers and people that tests of pages share. What a test changes, it changes of its own."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.harness.browser import PASSWORD, Browser, join, owner_code, signed_in
from tests.harness.server import Server

ADA = "ada@example.com"
MARKUP = "<img src=x onerror=alert(1)>"
GITLAB = {
    "name": "our-gitlab",
    "kind": "gitlab",
    "issuer": "https://gitlab.example.com",
    "audience": "https://stoker.example.com",
}


@pytest.fixture(scope="session")
def owned(make_shared_server: Callable[..., Server]) -> Server:
    """A server that belongs to Ada, whose name has markup. It takes many forms, and lets builds reach loopback."""
    return owned_by_ada(make_shared_server(forms_burst="10000", allowed_networks="127.0.0.0/8"))


@pytest.fixture(scope="session")
def strict(make_shared_server: Callable[..., Server]) -> Server:
    """Ada's other server, which has bounds that one test each is about, a CI, and a company that can't be reached."""
    return owned_by_ada(
        make_shared_server(
            forms_burst="10000",
            oidc_providers=json.dumps([GITLAB]),
            max_builds_per_project="1",
            max_open_logins="2",
            record_attestation_bytes="100",
            connection_hold_seconds="0.1",
            token_use_seconds="1",
            measure_seconds="1",
            sign_in_issuer="http://127.0.0.1:9",
            sign_in_client_id="stoker",
        )
    )


@pytest.fixture(scope="session")
def ada(owned: Server) -> Browser:
    """Ada's browser, which stays signed in."""
    return signed_in(owned, ADA)


def owned_by_ada(server: Server) -> Server:
    joined = join(Browser(server.url), owner_code(server), email=ADA, name=f"Ada {MARKUP}", password=PASSWORD)
    assert (joined.status, joined.path) == (200, "/"), joined.words
    return server
