"""How many pages one address and one person may have, and that nobody is locked out by pages that are followed live."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.harness.browser import PASSWORD, Browser, join, owner_code
from tests.harness.people import Registry
from tests.harness.server import Server

LIVE = 2
ALL_LIVE = 3
BURST = 40


@pytest.fixture(scope="module")
def owned(make_server: Callable[..., Server]) -> Server:
    return make_server(
        max_live_pages=str(ALL_LIVE),
        max_live_pages_per_address=str(LIVE),
        max_guest_calls_per_address=str(LIVE),
        guest_requests_per_second="0.001",
        guest_requests_burst=str(BURST),
    )


@pytest.fixture(scope="module")
def ada(owned: Server) -> Browser:
    browser = Browser(owned.url)
    join(browser, owner_code(owned), email="ada@example.com", name="Ada", password=PASSWORD)
    assert browser.get("/").status == 200
    return browser


@pytest.mark.bound("max_live_pages", "max_live_pages_per_address")
def test_pages_that_are_followed_live_leave_some_to_others_and_take_no_places_of_other_pages(
    owned: Server, ada: Browser
) -> None:
    (build,) = Registry(owned).builds(owned.project, owned.first["DEPOT_ORG_ID"], 1)
    url = owned.call("depot.core.v1.BuildService/ShareBuild", {"buildId": build}).body["shareUrl"]
    path, shared, stranger = f"/builds/{build}", urlsplit(url).path, Browser(owned.url)
    with ExitStack() as stack:
        for _ in range(LIVE):
            assert stack.enter_context(ada.follow(path)).readline().startswith(b"retry: ")
        assert refusal(ada, path) == 429
        assert stack.enter_context(stranger.follow(shared)).readline().startswith(b"retry: ")
        assert refusal(stranger, shared) == 429, "all together have no more"
        assert [ada.get(path).status for _ in range(LIVE + 1)] == [200] * (LIVE + 1)
        assert stranger.get(shared).status == 200


def refusal(browser: Browser, path: str) -> int:
    """The status with which a page may not be followed."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        browser.follow(path)
    return refused.value.code


def test_whoever_is_signed_in_is_not_locked_out_by_others_behind_their_address(owned: Server, ada: Browser) -> None:
    stranger = Browser(owned.url)
    answers = [stranger.get("/sign-in").status for _ in range(BURST + 1)]
    assert answers[0] == 200
    assert answers[-1] == 429
    assert ada.get("/").status == 200
    assert Browser(owned.url).get("/sign-in").status == 429
