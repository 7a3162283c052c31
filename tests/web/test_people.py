"""People in their browsers: the first owner, invitations, signing in and out, passwords, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.browser import PASSWORD, Browser, Page, join, owner_code, signed_in
from tests.harness.people import Registry, invite
from tests.harness.server import Server

OWNER = "ada@example.com"


def sign_in(browser: Browser, email: str = OWNER, password: str = PASSWORD) -> Page:
    return browser.post("/sign-in", email=email, password=password, next="/")


@pytest.fixture
def owner(owned: Server) -> Browser:
    """A browser of the owner's that is the test's own."""
    return signed_in(owned, OWNER)


def test_the_first_owner_comes_from_a_link_that_works_once(owned: Server, owner: Browser) -> None:
    home = owner.get("/")
    assert "default owner" in home.words
    assert "Ada" in home.words
    again = Browser(owned.url).post("/join", code=owner_code(owned))
    assert again.status == 404
    assert "does not work" in again.words
    assert owned.query("select email, is_operator from people where email = ?", OWNER) == [(OWNER, 1)]


def test_a_new_start_prints_a_new_link_only_while_there_is_nobody(make_server: Callable[..., Server]) -> None:
    server = make_server()
    first = owner_code(server)
    server.stop()
    second = owner_code(server.start())
    assert second != first
    assert Browser(server.url).post("/join", code=first).status == 404, "the older link works no longer"
    assert join(Browser(server.url), second, email=OWNER, name="Ada", password=PASSWORD).path == "/"
    server.stop()
    assert "/join#" not in server.start().output


def test_an_invitation_makes_an_account_with_its_role(owned: Server) -> None:
    code = invite(owned, "Vi@Example.com", "ROLE_VIEWER")
    browser = Browser(owned.url)
    joined = join(browser, code, email="somebody.else@example.com", name="Vi", password=PASSWORD)
    assert "default viewer" in joined.words
    assert owned.query("select email from people where name = 'Vi'") == [("vi@example.com",)], "as invited"
    assert Browser(owned.url).post("/join", code=code).status == 404


def test_somebody_with_an_account_takes_an_invitation_with_it(owned: Server) -> None:
    code = invite(owned, "bo@example.com", "ROLE_VIEWER")
    browser = Browser(owned.url)
    join(browser, code, name="Bo", password=PASSWORD)
    more = invite(owned, "bo@example.com", "ROLE_MEMBER")
    assert "already" in Browser(owned.url).post("/join", code=more).words
    joined = join(browser, more)
    assert "default member" in joined.words


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"password": "short"}, "password of 12 to 256"),
        ({"password": "a" * 12}, "too easy to guess"),
        ({"name": " "}, "empty"),
        ({"name": "a\x07b"}, "control characters"),
    ],
)
def test_a_form_that_can_not_be_right_is_shown_again(owned: Server, fields: dict[str, str], problem: str) -> None:
    code = invite(owned, f"wrong{abs(hash(problem))}@example.com", "ROLE_MEMBER")
    answer = join(Browser(owned.url), code, **{"name": "Cy", "password": PASSWORD} | fields)
    assert answer.status == 400
    assert problem in answer.words
    assert Browser(owned.url).post("/join", code=code).status == 200, "the invitation is still good"


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(owned: Server) -> None:
    wrong = sign_in(Browser(owned.url), password="something else entirely")
    unknown = sign_in(Browser(owned.url), email="nobody@example.com")
    assert wrong.status == unknown.status == 401
    assert wrong.words.replace(OWNER, "") == unknown.words.replace("nobody@example.com", "")


def test_signing_out_ends_the_session_itself(owned: Server, owner: Browser) -> None:
    home = owner.get("/")
    thief = Browser(owned.url, owner.cookies)
    assert owner.submit(home, "/sign-out").path == "/sign-in"
    assert thief.get("/").path == "/sign-in"


def test_a_changed_password_ends_all_other_sessions(owned: Server) -> None:
    code = invite(owned, "di@example.com", "ROLE_MEMBER")
    here, there = Browser(owned.url), Browser(owned.url)
    join(here, code, name="Di", password=PASSWORD)
    sign_in(there, "di@example.com")
    page = here.get("/password")
    assert "wrong" in here.submit(page, old="not it, sorry", new="an entirely new one").words
    assert here.submit(page, old=PASSWORD, new="an entirely new one").path == "/"
    assert here.get("/").path == "/"
    assert there.get("/").path == "/sign-in"
    assert sign_in(Browser(owned.url), "di@example.com").status == 401
    assert sign_in(Browser(owned.url), "di@example.com", "an entirely new one").path == "/"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(owned: Server) -> None:
    answer = Browser(owned.url).post("/sign-in", follow=False, email=OWNER, password=PASSWORD, next="/")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("stoker-session=")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_every_page_forbids_foreign_scripts_frames_and_caches(owned: Server, owner: Browser) -> None:
    for page in (owner.get("/"), Browser(owned.url).get("/sign-in"), Browser(owned.url).get("/nowhere")):
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
        assert "<script>" not in page.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_a_form_from_another_site_does_nothing(owned: Server, owner: Browser, origin: str) -> None:
    home = owner.get("/")
    refused = owner.post("/sign-out", origin=origin, csrf=home.hidden("csrf"))
    assert refused.status == 403
    assert owner.get("/").path == "/"


@pytest.mark.parametrize("path", ["/sign-out", "/password"])
def test_a_form_without_its_token_does_nothing(owner: Browser, path: str) -> None:
    assert owner.post(path, csrf="0" * 64, old=PASSWORD, new="an entirely new one").status == 403
    assert owner.get("/").path == "/"


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_leads_nowhere_else(owned: Server, wanted: str) -> None:
    answer = Browser(owned.url).post("/sign-in", follow=False, email=OWNER, password=PASSWORD, next=wanted)
    assert (answer.status, answer.headers["location"]) == (303, "/")


def test_names_are_text_and_nothing_more(owned: Server) -> None:
    name = '<script>alert("x")</script>'
    browser = Browser(owned.url)
    home = join(browser, invite(owned, "mallory@example.com", "ROLE_MEMBER"), name=name, password=PASSWORD)
    assert "<script>alert" not in home.text
    assert name in home.words


@pytest.mark.parametrize("body", [b"x" * 100_000, b"%ff=%ff", b"&".join(b"a%d=1" % n for n in range(100))])
def test_an_odd_form_is_refused(owned: Server, body: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded", "origin": owned.url}
    answer = owned.call("sign-in", raw=body, headers=headers, token="")
    assert answer.status in (400, 401)


def test_a_build_is_shown_to_members_of_its_organization_only(owned: Server, owner: Browser) -> None:
    build, _ = owned.new_build()
    registry = Registry(owned)
    outsider = Browser(owned.url)
    join(outsider, invite(owned, "finn@example.com", "ROLE_VIEWER"), name="Finn", password=PASSWORD)
    person = owned.query("select id from people where email = 'finn@example.com'")[0][0]
    assert registry.remove_from_all(person) == 1
    assert "hello" in owner.get(f"/builds/{build}").words
    hidden, missing = outsider.get(f"/builds/{build}"), outsider.get(f"/builds/{'0' * 16}")
    assert hidden.status == missing.status == 404
    assert hidden.words.replace(build, "") == missing.words.replace("0" * 16, "")
    assert Browser(owned.url).get(f"/builds/{build}").path == "/sign-in"


def test_a_shared_build_is_shown_to_anyone_until_sharing_stops(owned: Server) -> None:
    build, _ = owned.new_build()
    service = "depot.core.v1.BuildService"
    url = owned.call(f"{service}/ShareBuild", {"buildId": build}).body["shareUrl"]
    shown = Browser(owned.url).get(url)
    assert (shown.status, shown.path) == (200, url.removeprefix(owned.url))
    assert build in shown.words
    assert "hello" not in shown.words, "the project's name is its members' own"
    assert owned.call(f"{service}/StopSharingBuild", {"buildId": build}).status == 200
    gone, never = Browser(owned.url).get(url), Browser(owned.url).get("/share/never")
    assert gone.status == never.status == 404
    assert gone.words == never.words


def test_pages_do_not_hide_methods(owned: Server) -> None:
    assert owned.call("depot.core.v1.ProjectService/Nothing").status == 404
    assert owned.call("depot.core.v9.ProjectService/GetProject").code == "unimplemented"
    missing = Browser(owned.url).get("/nowhere")
    assert (missing.status, "no such page" in missing.words) == (404, True)
