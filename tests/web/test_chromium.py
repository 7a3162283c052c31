"""The pages in a real Chromium: by mouse and keyboard, live, shared, and for readers with other eyes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from stoker.web.formats import duration
from tests.harness.browser import PASSWORD
from tests.harness.chromium import DESKTOP, PHONE, Chromium, Seat, processes_of, running_chromium
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.endpoint import get_endpoint
from tests.harness.large_record import write_large_record
from tests.harness.records import when_recorded
from tests.harness.server import Server
from tests.harness.waiting import eventually
from tests.harness.waiting_step import make_file_inside

MARKUP = "<img src=x onerror=alert(1)>"
"""That in Ada's name too."""


@pytest.fixture(scope="module")
def failed(owned: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A build that fails, with markup wherever there is text."""
    # BuildKit quotes the Dockerfile in its warning of MAINTAINER, which is how the record comes to have it.
    folder = tmp_path_factory.mktemp("failed")
    said = run(f"printf '\\033[31mred\\033[0m\\n'; echo '{MARKUP}'; exit 7")
    context = make_context(folder / "context", HEADER + f'LABEL note="{MARKUP}"\nMAINTAINER ada\n' + said)
    project = owned.new_project(MARKUP)
    assert Depot(owned, folder)("build", "--project", project, ".", cwd=context).code != 0
    build = owned.builds()[-1][0]
    when_recorded(owned, build)
    return build


@pytest.fixture(scope="module")
def large(owned: Server) -> str:
    """A build that ended, whose first step has more lines than a page shows."""
    return write_large_record(owned, steps=30, lines=3000)


@pytest.fixture(scope="module")
def chromium(owned: Server, failed: str, large: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    assert owned
    assert failed
    assert large, "they are built first: nothing else runs asyncio while the browser is there"
    with running_chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="module")
def signed_in(owned: Server, chromium: Chromium) -> Iterator[Seat]:
    """A window in which Ada signed in, whose session the others use."""
    with chromium.seat(owned.url) as seat:
        sign_in(seat.open("/"))
        yield seat


@pytest.fixture
def ada(owned: Server, chromium: Chromium, signed_in: Seat) -> Iterator[Seat]:
    """A window of Ada's, whose pages may complain of nothing."""
    with chromium.seat(owned.url, cookies=signed_in.context) as seat:
        yield seat
        assert seat.problems == []


@pytest.fixture
def stranger(owned: Server, chromium: Chromium) -> Iterator[Seat]:
    """A window of somebody without an account."""
    with chromium.seat(owned.url) as seat:
        yield seat


@pytest.fixture
def begun(owned: Server) -> Iterator[Callable[[subprocess.Popen[str]], str]]:
    """Takes the client of a build that has begun, and gives the build; what still runs at the end is ended."""
    clients: list[subprocess.Popen[str]] = []

    def take(client: subprocess.Popen[str]) -> str:
        clients.append(client)
        return owned.builds()[-1][0]

    yield take
    for client in clients:
        client.terminate()
        client.communicate(timeout=60)


def sign_in(page: Page) -> None:
    page.get_by_label("Email address").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def keep_streams(page: Page, event: Any, kept: list[str]) -> None:
    page.on(event, lambda request: kept.append(request.url) if request.url.endswith("/events") else None)


def seen(page: Page) -> bool:
    """Let Playwright hear what has happened; always true."""
    page.wait_for_timeout(10)
    return True


def let_go(gate: str) -> None:
    """Let a step go on that waits for this file of its own."""

    def is_open() -> bool:
        waiting = processes_of(lambda line: "busybox sh -c" in line and f"until [ -e {gate} ]" in line)
        for process in waiting:
            make_file_inside(process, gate)
        return bool(waiting)

    eventually(is_open, f"a step waits for {gate}")


def waits(gate: str) -> str:
    return f"until [ -e {gate} ]; do sleep 0.1; done"


def test_whoever_signs_in_gets_to_the_page_they_wanted(owned: Server, stranger: Seat, failed: str) -> None:
    page = stranger.open(f"/builds/{failed}")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Email address").fill("ada@example.com")
    page.get_by_label("Password").fill("something else")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    stranger.problems.clear()  # of the refused form's status
    sign_in(page)
    expect(page).to_have_url(f"{owned.url}/builds/{failed}")
    page.get_by_role("link", name="stoker", exact=True).click()
    expect(page.get_by_text(MARKUP).first).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert stranger.problems == []


def test_a_project_is_created_by_form(owned: Server, ada: Seat) -> None:
    page = ada.open("/")
    page.get_by_role("link", name="New project").click()
    page.get_by_label("Name").fill("storefront")
    page.get_by_label("Keep unused for (days)").fill("12")
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_role("navigation", name="Project")).to_be_visible()
    created = owned.call("depot.core.v1.ProjectService/ListProjects").body["projects"]
    (project,) = (one for one in created if one["name"] == "storefront")
    assert project["cachePolicy"]["keepDays"] == 12
    assert page.url == f"{owned.url}/projects/{project['projectId']}"


def test_a_failure_and_its_line_are_seen_first(ada: Seat, failed: str) -> None:
    page = ada.open(f"/builds/{failed}")
    failure = page.get_by_role("region", name="Why it failed")
    expect(failure).to_be_in_viewport(ratio=1)
    expect(failure).to_contain_text("exit code: 7")
    expect(failure).to_contain_text("Dockerfile:5")
    expect(failure.get_by_text("red", exact=True)).to_have_css("color", "rgb(255, 154, 154)")


@pytest.mark.parametrize("place", ["", "/steps/1"])
def test_markup_of_a_build_is_text(ada: Seat, failed: str, place: str) -> None:
    page = ada.open(f"/builds/{failed}{place}")
    expect(page.get_by_text(MARKUP).first).to_be_visible()
    expect(page.locator("main img")).to_have_count(0)


def test_a_build_is_shared_and_taken_back(owned: Server, ada: Seat, stranger: Seat, failed: str) -> None:
    page = ada.open(f"/builds/{failed}")
    page.get_by_role("button", name="Share").click()
    address = page.get_by_role("link", name="this address").get_attribute("href")
    assert address is not None
    shared = stranger.open(address)
    expect(shared.get_by_role("region", name="Why it failed")).to_contain_text("exit code: 7")
    shared.get_by_role("region", name="Why it failed").get_by_role("link", name="step").click()
    expect(shared.get_by_text("red", exact=True)).to_be_visible()
    assert stranger.problems == []
    page.get_by_role("button", name="Stop sharing").click()
    expect(page.get_by_role("button", name="Share with")).to_be_visible()
    gone = shared.goto(address)
    assert gone is not None
    assert gone.status == 404
    expect(shared.get_by_text("not shared, or no longer")).to_be_visible()


def test_a_login_of_the_command_line_is_approved(owned: Server, ada: Seat, tmp_path: Path) -> None:
    nobody = {"DEPOT_TOKEN": "", "DEPOT_ORG_ID": "", "DEPOT_PROJECT_ID": ""}
    with Depot(owned, tmp_path).terminals() as start:
        login = start("login", **nobody)
        login.shows("Open link in browser?")
        login.press_until("n", "Waiting for approval")
        found = re.search(rf"{owned.url}/logins/(\S+)", login.screen)
        assert found is not None, login.screen
        page = ada.open(found[0])
        expect(page.get_by_text(found[1], exact=True)).to_be_visible()
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("heading", name="Approved")).to_be_visible()
        assert login.ends() == 0
    assert "api_token: stoker_usr_" in (tmp_path / ".config" / "depot" / "depot.yaml").read_text()


def test_a_build_is_watched_live(
    owned: Server, ada: Seat, tmp_path: Path, begun: Callable[[subprocess.Popen[str]], str]
) -> None:
    many = "for n in $(seq 1 80); do echo"
    steps = run(f"{many} early $n; done; {waits('/one')}; {many} later $n; done; {waits('/two')}; exit 0")
    context = make_context(tmp_path / "context", HEADER + steps + run(f"echo begun; {waits('/three')}"))
    build = begun(Depot(owned, tmp_path).begin(cwd=context, until=" early 80"))
    streams, closed = list[str](), list[str]()
    # Which of both ends it is depends on who hangs up first.
    for event, kept in (("request", streams), ("requestfinished", closed), ("requestfailed", closed)):
        keep_streams(ada.page, event, kept)
    page = ada.open(f"/builds/{build}")
    page.evaluate("window.sameDocument = true")
    first, second = (page.locator("li.step", has_text=text) for text in ("early $n", "echo begun"))
    expect(first).to_have_class(re.compile("running"))
    expect(second).to_have_count(0)

    summary = first.locator("summary")
    summary.press("Enter")
    line = first.locator(".log li", has_text="early 78")
    first.locator(".log").evaluate("log => { log.scrollTop = log.scrollHeight; }")
    line.scroll_into_view_if_needed()
    summary.focus()
    let_go("/one")
    expect(first.locator(".log li", has_text="later 80")).to_be_attached()
    expect(summary).to_be_focused()
    end = first.locator(".log").evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight")
    assert end < 5, "whoever was at the end of a log stays there"

    first.locator(".log").evaluate("log => { log.scrollTop = 200; }")
    first.locator(".log").focus()
    place = "first => first.querySelector('.log').scrollTop"
    seen_at = "first => first.querySelector('.log').getBoundingClientRect().top"
    before, top = first.evaluate(place), first.evaluate(seen_at)
    let_go("/two")
    expect(second).to_have_class(re.compile("running"))
    expect(second.locator("summary")).to_be_visible()
    expect(first).to_have_class(re.compile("done"))
    assert (first.evaluate(place), round(first.evaluate(seen_at))) == (before, round(top)), "whatever is added above"
    expect(first.locator(".log")).to_be_focused()

    let_go("/three")
    expect(page.get_by_role("heading", level=1)).to_contain_text("succeeded")
    expect(page.get_by_text("Still running.")).to_have_count(0)
    assert page.evaluate("window.sameDocument"), "it was never loaded anew"
    eventually(lambda: seen(page) and closed, "its stream has ended")
    assert len(streams) == 1


def test_what_runs_is_counted_on_in_the_servers_words(
    owned: Server, ada: Seat, tmp_path: Path, begun: Callable[[subprocess.Popen[str]], str]
) -> None:
    context = make_context(tmp_path / "context", HEADER + run(f"echo begun; {waits('/counted')}"))
    build = begun(Depot(owned, tmp_path).begin(cwd=context, until=" begun"))
    ada.page.clock.install()
    # For the build: as what runs now, as a whole, on the critical path, among the slowest steps, and as a bar.
    for place, many in ((f"/builds/{build}", 5), (f"/projects/{owned.project}", 1)):
        page = ada.open(place)
        counted = page.locator("[data-running]")
        expect(counted).to_have_count(many)
        first = float(counted.first.get_attribute("data-running") or "")
        # Less than the silence after which the page asks the server again.
        page.clock.run_for(30_000)
        words = [duration(first + 30 + tenths / 10) for tenths in range(-15, 100)]
        assert counted.first.inner_text() in words
    let_go("/counted")
    expect(page.locator(f"tr:has(a[href='/builds/{build}']) [data-running]")).to_have_count(0)

    around = "0 0.04 0.36 9.94 9.97 10.4 42 59.4 59.6 60 61 119.7 3599.4 3599.6 3600 7260 86399 86400 1000000"
    lengths = [float(length) for length in around.split()]
    script = "lengths => import('/static/running.js').then(module => lengths.map(module.duration))"
    assert page.evaluate(script, lengths) == [duration(length) for length in lengths]


def test_a_machine_that_starts_and_stops_is_seen_among_the_others(owned: Server, ada: Seat, tmp_path: Path) -> None:
    project = owned.new_project("machined")
    page = ada.open(f"/organizations/{owned.first['DEPOT_ORG_ID']}/machines")
    page.evaluate("window.sameDocument = true")
    focused_on = page.get_by_role("link").first
    focused_on.focus()
    build, token = owned.new_build(project)
    get_endpoint(owned, build, token, tmp_path)
    row = page.locator("tr", has_text="machined")
    expect(row.locator(".tag")).to_have_text("ready")
    expect(row.get_by_role("link", name=f"Build {build}")).to_be_visible()
    ended = {"buildId": build, "success": {}}
    assert owned.call("depot.build.v1.BuildService/FinishBuild", ended, token=token).status == 200
    expect(row.get_by_role("link", name=f"Build {build}")).to_have_count(0)
    assert owned.call("depot.core.v1.ProjectService/ResetProject", {"projectId": project}).status == 200
    expect(row.locator(".tag")).to_have_text("stopped")
    expect(focused_on).to_be_focused()
    assert page.evaluate("window.sameDocument"), "it was never loaded anew"


def test_builds_that_begin_and_end_are_seen_in_their_lists(owned: Server, ada: Seat) -> None:
    project = owned.new_project("watched")
    before, _ = owned.new_build(project)
    places = (f"/projects/{project}", f"/organizations/{owned.first['DEPOT_ORG_ID']}", "/")
    for place in places:
        page = ada.open(place)
        page.evaluate("window.sameDocument = true")
        focused_on = page.get_by_role("link", name=before).first
        if place == places[1]:
            focused_on = page.get_by_role("link", name="watched")
        focused_on.focus()
        build, token = owned.new_build(project)
        row = page.locator("tr", has=page.locator(f"a[href='/builds/{build}']")).first
        expect(row).to_contain_text("running")
        expect(focused_on).to_be_focused()
        ended = {"buildId": build, "success": {}}
        assert owned.call("depot.build.v1.BuildService/FinishBuild", ended, token=token).status == 200
        expect(row).to_contain_text("succeeded")
        expect(focused_on).to_be_focused()
        assert page.evaluate("window.sameDocument"), "it was never loaded anew"
    assert owned.call("depot.build.v1.BuildService/FinishBuild", {"buildId": before, "success": {}}).status == 200


@pytest.fixture
def named(owned: Server) -> tuple[str, list[str]]:
    """A project with builds of many names, one of which waits; the project, and the builds."""
    project = owned.new_project("named")
    long = "registry.example.com/" + "/".join(["department"] * 12) + "/webshop:1.4.5-rc.1"
    told: list[dict[str, Any]] = [
        {"command": "COMMAND_BUILD", "tags": ["docker.io/acme/webshop:1.4.5", "acme/webshop:latest"], "push": True},
        {"command": "COMMAND_BUILD", "tags": [long]},
        {"command": "COMMAND_BAKE", "targetName": f"web {MARKUP}"},
        {},
    ]
    builds: list[str] = []
    for options in told:
        wanted = {"projectId": project, "options": [options]}
        created = owned.call("depot.cli.v1.BuildService/CreateBuild", wanted)
        assert created.status == 200, created
        builds.append(created.body["buildId"])
    for build in builds[:2]:
        ended = {"buildId": build, "success": {}}
        assert owned.call("depot.build.v1.BuildService/FinishBuild", ended).status == 200
    return project, builds


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_a_list_of_builds_has_one_line_for_each_and_is_whole(
    ada: Seat, named: tuple[str, list[str]], size: tuple[int, int]
) -> None:
    project, builds = named
    ada.page.set_viewport_size({"width": size[0], "height": size[1]})
    page = ada.open(f"/projects/{project}")
    expect(page.get_by_role("link", name="acme/webshop:1.4.5")).to_be_visible()
    expect(page.get_by_role("link", name=f"bake: web {MARKUP}")).to_be_visible()
    expect(page.locator("main img")).to_have_count(0)
    heights = page.locator("table.builds tbody tr").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert len(heights) == len(builds)
    assert max(heights) < 48, "a row is one line"
    for element in ("document.scrollingElement", "document.querySelector('.scroll')"):
        assert page.evaluate(f"{element}.scrollWidth - {element}.clientWidth") <= 0, element
    for address in (f"/projects/{project}?branch=x&target=y", f"/builds/{builds[0]}", f"/builds/{builds[1]}"):
        ada.open(address)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= size[0], address
        assert ada.axe() == []


def test_a_build_is_found_by_a_part_of_its_name_and_its_id_copied(ada: Seat, named: tuple[str, list[str]]) -> None:
    project, builds = named
    ada.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = ada.open(f"/projects/{project}")
    page.get_by_label("Search").fill("WEBSHOP push")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No builds match: the search “WEBSHOP push”.")).to_be_visible()
    page.get_by_label("Search").fill("webshop latest")
    page.keyboard.press("Enter")
    expect(page.locator("table.builds tbody tr")).to_have_count(1)
    page.get_by_role("button", name=f"Copy the id {builds[0]}").click()
    expect(page.get_by_role("status")).to_have_text(f"Copied {builds[0]}")
    assert page.evaluate("navigator.clipboard.readText()") == builds[0]
    page.get_by_text("More filters").click()
    page.get_by_label("Triggered by").fill("nobody")
    page.get_by_label("Since").fill("2026-01-31")
    page.keyboard.press("Enter")
    expect(page.get_by_text("triggered by “nobody”")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("table.builds tbody tr")).to_have_count(len(builds))
    page.get_by_role("link", name="acme/webshop:1.4.5").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("acme/webshop:1.4.5")
    expect(page.get_by_text("acme/webshop:latest")).to_be_visible()


def test_a_stream_is_opened_again_when_it_is_refused_or_silent_or_its_page_is_seen_again(
    owned: Server, ada: Seat
) -> None:
    build = owned.call("depot.build.v1.BuildService/CreateBuild", {"projectId": owned.project}).body["buildId"]
    streams, closed = list[str](), list[str]()
    for event, kept in (("request", streams), ("requestfinished", closed), ("requestfailed", closed)):
        keep_streams(ada.page, event, kept)
    ada.page.route("**/events", lambda route: route.fulfill(status=429), times=1)
    ada.page.clock.install()

    def opened(count: int) -> None:
        eventually(lambda: seen(ada.page) and len(streams) == count, f"stream {count} is opened")

    with ada.page.expect_console_message(lambda said: "429" in said.text):
        page = ada.open(f"/builds/{build}")
        opened(1)
    ada.problems.clear()
    page.clock.fast_forward(10_500)
    opened(2)
    page.clock.fast_forward(46_000)
    opened(3)
    hide = "hidden => Object.defineProperty(document, 'hidden', { value: hidden, configurable: true })"
    for hidden in (True, False):
        page.evaluate(hide, hidden)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        if hidden:
            eventually(lambda: seen(page) and len(closed) == 3, "nothing is followed that isn't seen")
    opened(4)
    assert owned.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, "success": {}}).status == 200


def at_its_end(page: Page) -> bool:
    return page.locator("#log").evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight < 5")


def test_what_runs_now_is_on_the_first_screen(
    owned: Server,
    chromium: Chromium,
    ada: Seat,
    tmp_path: Path,
    begun: Callable[[subprocess.Popen[str]], str],
) -> None:
    context = make_context(
        tmp_path / "context", HEADER + run(f"echo begun; {waits('/six')}; echo more; {waits('/seven')}")
    )
    build = begun(Depot(owned, tmp_path).begin("--project", owned.new_project("cold"), cwd=context, until=" begun"))
    page = ada.open(f"/builds/{build}")
    now = page.get_by_role("region", name="Running now")
    expect(now).to_be_in_viewport(ratio=1)
    expect(now.locator(".last")).to_have_text("begun")
    expect(page).to_have_title(re.compile(f"^● .*Build {build} running"))
    path = page.locator("#path")
    expect(path).to_contain_text("echo begun")
    expect(page.get_by_text("Machine start")).to_be_visible()
    let_go("/six")
    expect(now.locator(".last")).to_have_text("more")
    for size in ((390, 844), (1280, 800)):
        with chromium.seat(owned.url, size=size, cookies=ada.context) as seat:
            seat.open(f"/builds/{build}")
            expect(seat.page.get_by_role("region", name="Running now")).to_be_in_viewport(ratio=1)
            assert seat.page.evaluate("document.scrollingElement.scrollWidth") == size[0]
            assert seat.axe() == []
    let_go("/seven")
    expect(now).to_have_count(0)
    expect(page).to_have_title(re.compile(f"^✓ .*Build {build} succeeded"))


def test_a_steps_own_page_follows_its_log(
    owned: Server, ada: Seat, tmp_path: Path, begun: Callable[[subprocess.Popen[str]], str]
) -> None:
    many = "for n in $(seq 1 80); do echo"
    steps = run(f"{many} early $n; done; {waits('/four')}; {many} later $n; done; {waits('/five')}; echo at last")
    context = make_context(tmp_path / "context", HEADER + steps)
    build = begun(Depot(owned, tmp_path).begin(cwd=context, until=" early 80"))
    page = ada.open(f"/builds/{build}")
    page.locator("li.step", has_text="early $n").locator(".name").click()
    page.evaluate("window.sameDocument = true")
    follower = page.get_by_role("button", name="Follow")
    expect(follower).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("early 80", exact=True)).to_be_in_viewport()
    assert page.locator("h1").bounding_box()["height"] < 70, "two lines"  # pyright: ignore[reportOptionalSubscript]
    let_go("/four")
    expect(page.get_by_text("later 80", exact=True)).to_be_in_viewport()
    assert at_its_end(page)

    page.locator("#log").evaluate("log => { log.scrollTop = 100; }")
    expect(follower).to_have_attribute("aria-pressed", "false")
    let_go("/five")
    expect(page.get_by_text("at last", exact=True)).to_be_attached()
    assert page.locator("#log").evaluate("log => log.scrollTop") == 100
    expect(page.locator("#running")).to_have_count(0)
    expect(page.get_by_text("Duration", exact=True)).to_be_visible()
    page.keyboard.press("e")
    expect(page.get_by_text("at last", exact=True)).to_be_in_viewport()
    assert page.evaluate("window.sameDocument"), "it was never loaded again"


def test_lines_are_linked_and_marked_by_mouse_and_keyboard(owned: Server, ada: Seat, large: str) -> None:
    step = f"/builds/{large}/steps/1"
    page, address = ada.open(f"{step}?line=1"), f"{owned.url}{step}"
    page.evaluate("window.sameDocument = true")
    page.locator("#L10 > a").click()
    expect(page).to_have_url(f"{address}?line=10#L10")
    page.locator("#L12 > a").click(modifiers=["Shift"])
    expect(page).to_have_url(f"{address}?line=10-12#L10-L12")
    marked = page.locator("#log .marked")
    expect(marked).to_have_count(3)
    page.keyboard.press("k")
    expect(page.locator("#L11 > a")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{address}?line=11#L11")
    expect(marked).to_have_count(1)

    page.keyboard.press("w")
    expect(page.locator("#log")).to_have_class("log nowrap")
    page.keyboard.press("t")
    expect(page.locator("#L11 > time")).to_have_text("00:00:00.000")
    expect(page).to_have_url(f"{address}?line=11&wrap=no&times=yes#L11")
    page.get_by_label("Line", exact=True).fill("1400-1402")
    page.keyboard.press("Enter")
    expect(page.locator("#L1400")).to_be_in_viewport()
    expect(marked).to_have_count(3)
    assert page.evaluate("window.sameDocument"), "it was never loaded again"

    # What others were sent: the fragment alone leads to the right part of the log.
    for fragment, count in (("#L5", 1), ("#L5-L7", 3), ("#step-1-line-5", 1)):
        ada.open("/")
        ada.open(f"{step}{fragment}")
        expect(page.locator("#L5")).to_be_in_viewport()
        expect(marked).to_have_count(count)
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile("/steps/2$"))
    expect(page.locator("html")).to_have_class("scripts")
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile("/steps/1$"))


def test_a_log_is_searched_by_keyboard_alone(owned: Server, ada: Seat, large: str) -> None:
    step = f"/builds/{large}/steps/1"
    page, address = ada.open(step), f"{owned.url}{step}"
    page.evaluate("window.sameDocument = true")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    page.keyboard.type("MODULE_14")
    page.keyboard.press("Enter")
    expect(page.locator("#hits")).to_have_text("1 of 111 lines")
    expect(page).to_have_url(f"{address}?q=MODULE_14")
    expect(page.locator("#L15")).to_be_in_viewport()
    expect(page.locator("#L15 mark")).to_have_text("module_14")
    page.locator("#log").focus()
    page.keyboard.press("n")
    expect(page.locator("#hits")).to_have_text("2 of 111 lines")
    expect(page.locator("#L141")).to_be_in_viewport()
    for place in range(3, 13):
        page.keyboard.press("n")
        expect(page.locator("#hits")).to_have_text(f"{place} of 111 lines")
    expect(page.locator("#L1401")).to_be_in_viewport()
    page.keyboard.press("p")
    expect(page.locator("#hits")).to_have_text("11 of 111 lines")
    page.get_by_role("link", name="Close search").press("Enter")
    expect(page.locator("#log mark")).to_have_count(0)
    assert page.evaluate("window.sameDocument"), "it was never loaded again"


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [(390, 844), (1280, 800)])
def test_a_log_has_the_rest_of_the_window(
    chromium: Chromium, owned: Server, ada: Seat, large: str, size: tuple[int, int], colours: Literal["light", "dark"]
) -> None:
    with chromium.seat(owned.url, size=size, colours=colours, cookies=ada.context) as seat:
        page = seat.open(f"/builds/{large}/steps/1?line=1-3&wrap=no&times=yes")
        expect(page.locator("#log")).to_be_visible()
        box = page.locator("#log").bounding_box()
        assert box is not None
        assert box["y"] < size[1] / 2
        assert size[1] * 0.95 < box["y"] + box["height"] <= size[1]
        assert page.evaluate("document.scrollingElement.scrollWidth") == size[0]
        assert seat.axe() == []
        assert seat.problems == []


def test_a_large_builds_steps_are_filtered_by_keyboard(owned: Server, ada: Seat, large: str) -> None:
    page = ada.open(f"/builds/{large}")
    steps = page.locator("li.step")
    expect(steps).to_have_count(30)
    page.get_by_role("link", name="Cached", exact=True).press("Enter")
    expect(steps).to_have_count(10)
    expect(page.get_by_role("link", name="Cached", exact=True)).to_have_attribute("aria-current", "page")
    page.get_by_label("Filter steps by name").fill("TARGET-3")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/builds/{large}\?show=cached&name=TARGET-3"))
    expect(steps).to_have_count(2)
    page.get_by_role("link", name="All", exact=True).press("Enter")
    expect(page).to_have_url(re.compile(rf"/builds/{large}\?name=TARGET-3#steps$"))
    page.get_by_label("Filter steps by name").fill("")
    page.keyboard.press("Enter")
    expect(steps).to_have_count(30)
    slowest = page.locator("#slowest")
    slowest.locator("summary").press("Enter")
    expect(slowest.get_by_role("listitem")).to_have_count(5)


def test_a_fold_is_opened_by_keyboard(ada: Seat, failed: str) -> None:
    page = ada.open(f"/builds/{failed}")
    fold = page.locator("li.fold").first
    hidden = fold.locator("li.step").first
    expect(hidden).to_be_hidden()
    fold.locator("summary").first.press("Enter")
    expect(hidden).to_be_visible()


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [(390, 844), (1280, 800)])
def test_a_large_build_fits_every_window(
    chromium: Chromium, owned: Server, ada: Seat, large: str, size: tuple[int, int], colours: Literal["light", "dark"]
) -> None:
    with chromium.seat(owned.url, size=size, colours=colours, cookies=ada.context) as seat:
        page = seat.open(f"/builds/{large}")
        for details in page.locator("#slowest, #path").all():
            details.locator("summary").click()
        assert page.evaluate("document.scrollingElement.scrollWidth") == size[0]
        assert seat.axe() == []
        assert seat.problems == []


@dataclass(frozen=True)
class Focused:
    """What has the focus."""

    name: str
    order: int
    outline: str
    visible: bool


def focused(page: Page) -> Focused:
    """The element with the focus, with its place among all of the document's."""
    name, order, outline, visible = page.evaluate(
        """() => {
          const element = document.activeElement, box = element.getBoundingClientRect();
          const style = getComputedStyle(element);
          return [
            element.innerText || element.id, [...document.querySelectorAll("*")].indexOf(element),
            style.outlineStyle === "none" ? "" : style.outlineWidth,
            box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight,
          ];
        }"""
    )
    return Focused(name, order, outline, visible)


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(ada: Seat, failed: str) -> None:
    page = ada.open(f"/builds/{failed}")
    page.keyboard.press("Tab")
    assert focused(page).name == "Skip to the page"
    assert focused(page).visible
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")

    page.goto(f"/builds/{failed}")
    reached: list[Focused] = []
    while True:
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        reached.append(focused(page))
    assert [one.order for one in reached] == sorted({one.order for one in reached})
    # Lines of logs are not among them: pages of steps have keys for those.
    within_reach = (
        "a:not([tabindex='-1'])",
        "button",
        "summary",
        "select",
        "input:not([type=hidden])",
        "[tabindex='0']",
    )
    assert len(reached) == page.locator(", ".join(f"{one}:visible" for one in within_reach)).count()
    assert [one for one in reached if not one.visible or one.outline != "3px"] == []


def test_the_failing_line_is_five_keys_away(ada: Seat, failed: str) -> None:
    page = ada.open(f"/builds/{failed}")
    for key in ("Tab", "Tab", "Enter"):
        page.keyboard.press(key)
    log = page.get_by_role("region", name="its end")
    expect(log).to_be_focused()
    expect(log.get_by_text("red", exact=True)).to_be_in_viewport()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()


def test_all_is_done_without_a_mouse(owned: Server, stranger: Seat, failed: str) -> None:
    page = stranger.open(f"/builds/{failed}")
    expect(page.get_by_label("Email address")).to_be_focused()
    for key in ("ada@example.com", "Tab", PASSWORD, "Enter"):
        if key in {"Tab", "Enter"}:
            page.keyboard.press(key)
        else:
            page.keyboard.type(key)
    expect(page).to_have_url(f"{owned.url}/builds/{failed}")
    log = page.locator("li.step details").filter(has_text="red").first
    log.locator("summary").focus()
    page.keyboard.press("Space")
    expect(log).to_have_attribute("open", "")
    page.keyboard.press("Space")
    expect(log).not_to_have_attribute("open", "")
    assert stranger.problems == []


# What differs between two pages of one kind.
_ONE_OF_MANY = re.compile(r"(?<=/)(\d+|[0-9a-z]{16,})(?=/|$)")
_MOST_KINDS = 60
# What depends on colours and on the size of the screen; all else is the same in the dark and on a phone.
_RULES_OF_LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable")


def kind_of(address: str) -> str:
    """The path of an address, without what differs between pages of one kind."""
    return _ONE_OF_MANY.sub("*", address.partition("#")[0].partition("?")[0])


def pages_of_all_kinds(seat: Seat, *addresses: str) -> Iterator[str]:
    """Open one page of each kind that these pages lead to; its address."""
    waiting, seen = list(addresses), {kind_of(address) for address in addresses}
    while waiting:
        assert len(seen) < _MOST_KINDS, seen
        address = waiting.pop(0)
        answer = seat.page.goto(address)
        assert answer is not None
        assert answer.status == 200, f"a link leads nowhere: {address}"
        links = seat.page.locator("a[href^='/']").evaluate_all("all => all.map(one => one.getAttribute('href'))")
        yield address
        for link in links:
            kind = kind_of(link)
            # What has an extension is a download.
            if kind not in seen and "." not in kind.rpartition("/")[2]:
                seen.add(kind)
                waiting.append(link)


def test_no_page_has_a_serious_accessibility_problem_or_breaks_its_policy(
    owned: Server, ada: Seat, stranger: Seat, failed: str
) -> None:
    login = owned.call("depot.cli.v1beta1.LoginService/StartLogin", token="").body["approveUrl"]
    found: dict[str, list[str]] = {}
    for address in ("/sign-in", "/join", "/nowhere"):
        stranger.open(address)
        found[address] = problems_of(stranger)
    for address in pages_of_all_kinds(ada, "/", f"/builds/{failed}", login.removeprefix(owned.url)):
        found[kind_of(address)] = problems_of(ada)
    assert {kind: problems for kind, problems in found.items() if problems} == {}
    assert {"/", "/organizations/*", "/projects/*", "/builds/*", "/builds/*/steps/*", "/audit", "/password"} <= set(
        found
    )


def problems_of(seat: Seat) -> list[str]:
    """What is wrong with a page in the light on a desktop, and in the dark on a phone."""
    problems = seat.axe()
    seat.page.emulate_media(color_scheme="dark")
    seat.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    problems += seat.axe(*_RULES_OF_LOOKS)
    if (wide := seat.page.evaluate("document.scrollingElement.scrollWidth")) > PHONE[0]:
        problems.append(f"{wide} pixels wide, where a phone has {PHONE[0]}")
    seat.page.emulate_media(color_scheme="light")
    seat.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    return problems
