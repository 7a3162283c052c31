"""Sign-in through a company's own provider: a real authorization code flow against one on loopback."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.people import Role
from tests.harness.browser import Browser, Page
from tests.harness.company import CLIENT_ID, CLIENT_SECRET, Company
from tests.harness.people import Registry
from tests.harness.server import Server


@pytest.fixture(scope="module")
def provider() -> Iterator[Company]:
    company = Company()
    yield company
    company.close()


@pytest.fixture
def company(provider: Company) -> Company:
    provider.spoil, provider.in_user_info, provider.refuses = {}, (), ""
    provider.person = {"sub": "u1", "email": "gus@example.com", "email_verified": True, "name": "Gus"}
    return provider


def settings(provider: Company, folder: Path) -> dict[str, str]:
    secret = folder / "client-secret"
    secret.write_text(CLIENT_SECRET + "\n")
    return {
        "sign_in_issuer": provider.url,
        "sign_in_client_id": CLIENT_ID,
        "sign_in_client_secret": str(secret),
        "sign_in_name": "Example Corp",
    }


@pytest.fixture(scope="module")
def closed(make_server: Callable[..., Server], provider: Company, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server that takes nobody whom it doesn't know."""
    return make_server(**settings(provider, tmp_path_factory.mktemp("closed")))


def come_back(server: Server, browser: Browser | None = None, query: str = "") -> Page:
    return (browser or Browser(server.url)).get(f"/sign-in/company{query}")


def known(server: Server, name: str) -> None:
    Registry(server).person(name, **{f"o{server.first['DEPOT_ORG_ID']}": Role.MEMBER})


def test_the_page_offers_it(closed: Server) -> None:
    assert "Continue with Example Corp" in Browser(closed.url).get("/sign-in").words


def test_somebody_known_by_their_verified_address_is_signed_in(closed: Server, company: Company) -> None:
    known(closed, "gus")
    browser = Browser(closed.url)
    home = come_back(closed, browser, "?next=/password")
    assert (home.status, home.path) == (200, "/password")
    assert "gus" in home.words
    asked = company.asked[-1]
    assert (asked["client_id"], asked["response_type"]) == (CLIENT_ID, "code")
    company.person |= {"email": "renamed@example.com"}
    assert "gus" in come_back(closed).words, "the next time by the subject, whatever the address is"


def test_the_address_may_come_with_the_user_info(closed: Server, company: Company) -> None:
    known(closed, "hal")
    company.person = {"sub": "u2", "email": "hal@example.com", "email_verified": True}
    company.in_user_info = ("email", "email_verified")
    assert "hal" in come_back(closed).words


@pytest.mark.parametrize(
    ("person", "problem"),
    [
        ({"sub": "u3", "email": "stranger@example.com"}, "not known here"),
        ({"sub": "u4", "email": "iva@example.com", "email_verified": False}, "not verified"),
        ({"sub": "u4", "email": "iva@example.com", "email_verified": "true"}, "not verified"),
        ({"sub": "another", "email": "jo@example.com"}, "another account"),
    ],
)
def test_who_is_not_known_for_sure_stays_outside(
    closed: Server, company: Company, person: dict[str, Any], problem: str
) -> None:
    if not closed.query("select id from people where name = 'iva'"):
        known(closed, "iva")
        known(closed, "jo")
        company.person = {"sub": "u5", "email": "jo@example.com", "email_verified": True}
        assert come_back(closed).status == 200
    company.person = {"email_verified": True} | person
    browser = Browser(closed.url)
    refused = come_back(closed, browser)
    assert refused.status == 403
    assert problem in refused.words
    assert browser.get("/").path == "/sign-in"


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        ({"nonce": "of another sign-in"}, 403),
        ({"nonce": None}, 403),
        ({"aud": "another client"}, 401),
        ({"iss": "https://evil.example"}, 401),
        ({"exp": 1}, 401),
        ({"sub": ""}, 403),
    ],
)
def test_an_id_token_that_is_not_for_us_is_refused(
    closed: Server, company: Company, spoil: dict[str, Any], status: int
) -> None:
    company.spoil = spoil
    browser = Browser(closed.url)
    assert come_back(closed, browser).status == status
    assert browser.get("/").path == "/sign-in"


def test_a_callback_works_in_the_browser_that_began_alone(closed: Server, company: Company) -> None:
    begun = Browser(closed.url).get("/sign-in/company", follow=False).headers["location"]
    authorized = Browser(begun).get(begun, follow=False).headers["location"]
    for other in (Browser(closed.url), began(closed)):
        refused = other.get(authorized)
        assert refused.status == 403
        assert "another browser" in refused.words


def began(server: Server) -> Browser:
    browser = Browser(server.url)
    browser.get("/sign-in/company", follow=False)
    return browser


def test_a_refusal_is_told(closed: Server, company: Company) -> None:
    company.refuses = "access_denied"
    refused = come_back(closed)
    assert refused.status == 403
    assert "access_denied" in refused.words


def test_an_invitation_is_taken_with_it(closed: Server, company: Company) -> None:
    organization = closed.first["DEPOT_ORG_ID"]
    owner = Registry(closed).person("kit", **{f"o{organization}": Role.OWNER})
    made = closed.call(
        "stoker.v1.OrganizationService/CreateInvitation",
        {"email": "lee@example.com", "role": "ROLE_MEMBER"},
        token=owner.token,
    )
    browser = Browser(closed.url)
    offered = browser.post("/join", code=made.body["url"].partition("#")[2])
    link = re.search(r'href="(/sign-in/company[^"]*)"', offered.text)
    assert link is not None
    company.person = {"sub": "u6", "email": "lee@corp.example.com", "email_verified": True, "name": "Lee"}
    assert "default member" in browser.get(link[1]).words


def test_new_people_are_taken_where_that_is_set(
    make_server: Callable[..., Server], company: Company, tmp_path: Path
) -> None:
    open_server = make_server(**settings(company, tmp_path), sign_in_new_people="viewer")
    company.person = {"sub": "u7", "email": "mia@example.com", "email_verified": True, "name": "Mia"}
    assert "default viewer" in come_back(open_server).words


def test_a_provider_that_is_down_is_said_so_and_harms_nobody_else(strict: Server) -> None:
    answer = come_back(strict)
    assert answer.status == 503
    assert "can't be reached" in answer.words
    assert Browser(strict.url).get("/sign-in").status == 200


def test_the_client_secret_is_nowhere_but_in_its_file(closed: Server) -> None:
    for path in [*closed.data.rglob("*"), closed.log]:
        # The image of the caches is as large as the disk, and no part of the server writes into it.
        if path.is_file() and path.name != "volumes.btrfs":
            assert CLIENT_SECRET.encode() not in path.read_bytes(), path
