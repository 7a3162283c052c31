"""Canceling a build on its page."""

from __future__ import annotations

from tests.harness.browser import PASSWORD, Browser, join
from tests.harness.people import invite
from tests.harness.server import Server
from tests.web.conftest import ADA, MARKUP

SHARE = "depot.core.v1.BuildService/ShareBuild"


def test_a_member_cancels_a_build_on_its_page(owned: Server, ada: Browser) -> None:
    project = owned.new_project("canceled on its page")
    build, _ = owned.new_build(project)
    page = ada.get(f"/builds/{build}")
    assert "Cancel the build" in page.words

    after = ada.submit(page, f"/builds/{build}/cancel")

    assert (after.status, after.path) == (200, f"/builds/{build}")
    assert f"Canceled by Ada {MARKUP}" in after.words
    assert MARKUP not in after.text
    assert "Cancel the build" not in after.words, "it is over"
    assert owned.builds(project) == [(build, "canceled", f"canceled by Ada {MARKUP}")]
    again = ada.submit(page, f"/builds/{build}/cancel")
    assert (again.status, again.path) == (200, f"/builds/{build}"), "somebody was faster"
    assert "build.cancel" in ada.get("/audit").text
    who = "select actor_name from audit_events where action = 'build.cancel' and target_id = ?"
    assert owned.query(who, build) == [(ADA,)]


def test_strangers_do_not_learn_who_canceled_a_build(owned: Server, ada: Browser) -> None:
    build, _ = owned.new_build(owned.new_project("canceled and shared"))
    url = owned.call(SHARE, {"buildId": build}).body["shareUrl"]
    ada.submit(ada.get(f"/builds/{build}"), f"/builds/{build}/cancel")

    shared = Browser(owned.url).get(url)

    assert "Canceled by a member of the project" in shared.words
    assert "Ada" not in shared.words


def test_canceling_needs_a_member_and_a_form_of_ours(owned: Server, ada: Browser) -> None:
    build, _ = owned.new_build(owned.new_project("not canceled"))
    path = f"/builds/{build}/cancel"
    assert ada.post(path).status == 403, "no token of the form"
    asked = Browser(owned.url).post(path)
    assert (asked.path, asked.hidden("next")) == ("/sign-in", f"/builds/{build}")
    viewer = Browser(owned.url)
    join(viewer, invite(owned, "viewer-of-builds@example.com", "ROLE_VIEWER"), name="Vi", password=PASSWORD)
    seen = viewer.get(f"/builds/{build}")
    assert seen.status == 200
    assert "Cancel the build" not in seen.words
    assert viewer.post(path, csrf=viewer.get("/account").hidden("csrf")).status == 403
    assert owned.query("select status from builds where id = ?", build) == [("running",)]
