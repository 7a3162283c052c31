"""A build's page: why it failed, its steps and logs, live, and shared."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.browser import Browser, Page, join, owner_code
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.people import invite
from tests.harness.records import when_recorded
from tests.harness.server import Server
from tests.harness.waiting import eventually

PASSWORD = "coal and a good draught"
MARKUP = "<script>alert(1)</script>"
LINES = 2500


@pytest.fixture(scope="module")
def owned(make_server: Callable[..., Server]) -> Server:
    server = make_server()
    join(Browser(server.url), owner_code(server), email="ada@example.com", name="Ada", password=PASSWORD)
    return server


@pytest.fixture(scope="module")
def ada(owned: Server) -> Browser:
    return signed_in(owned, "ada@example.com")


@pytest.fixture(scope="module")
def failed(owned: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A build that says much, and then fails."""
    folder = tmp_path_factory.mktemp("failed")
    # BuildKit quotes the Dockerfile in its warning of MAINTAINER.
    talk = run(f"for n in $(seq 1 {LINES}); do echo said $n; done")
    fail = run(f"printf '\\033[31mred\\033[0m\\n'; echo '{MARKUP}'; exit 7")
    context = make_context(folder / "context", HEADER + "MAINTAINER ada\n" + talk + fail)
    assert Depot(owned, folder)("build", ".", cwd=context).code != 0
    build = owned.builds()[-1][0]
    when_recorded(owned, build)
    return build


def signed_in(server: Server, email: str) -> Browser:
    browser = Browser(server.url)
    page = browser.post("/sign-in", email=email, password=PASSWORD, next="/")
    assert page.path == "/", page.words
    return browser


def number_of(page: Page, words: str) -> int:
    """The number of the step whose name has these words."""
    found = re.search(rf'/steps/(\d+)"><code>[^<]*{re.escape(words)}', page.text)
    assert found is not None, page.words
    return int(found[1])


def test_a_failure_comes_first_with_its_step_line_and_log(ada: Browser, failed: str) -> None:
    page = ada.get(f"/builds/{failed}")
    first = page.text.partition("<dl>")[0]
    assert "Why it failed" in first
    assert "exit code: 7" in first
    assert "Dockerfile:5" in first
    assert '<span class="ink-31">red</span>' in first
    assert "&lt;script&gt;alert(1)" in first


def test_no_html_of_a_build_gets_into_its_pages(ada: Browser, failed: str) -> None:
    page = ada.get(f"/builds/{failed}")
    step = ada.get(f"/builds/{failed}/steps/{number_of(page, 'exit 7')}")
    assert "alert(1)" in page.words
    assert "alert(1)" in step.words
    assert "<script" not in page.text, "the build is over, so the page needs no script of ours either"
    assert "<script" not in step.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_steps_have_bars_and_only_the_ends_of_long_logs(ada: Browser, failed: str) -> None:
    page = ada.get(f"/builds/{failed}")
    assert page.text.count('<svg class="bar"') == len(re.findall(r'<li class="step ', page.text)) > 3
    assert f"said {LINES}" in page.words
    assert "said 100 " not in page.words
    assert "style=" not in page.text, "the policy would not let it have an effect"


def test_a_long_log_is_shown_in_windows_and_downloaded_whole(ada: Browser, failed: str) -> None:
    number = number_of(ada.get(f"/builds/{failed}"), "echo said")
    base = f"/builds/{failed}/steps/{number}"
    last, first = ada.get(base), ada.get(f"{base}?line=12")
    assert f'id="step-{number}-line-{LINES}"' in last.text
    assert "Earlier lines" in last.words
    assert f'id="step-{number}-line-12"' in first.text
    assert f'id="step-{number}-line-1001"' not in first.text
    whole = ada.get(f"{base}/log.txt")
    assert whole.text.splitlines() == [f"said {n}" for n in range(1, LINES + 1)]
    assert whole.headers["content-type"].startswith("text/plain")
    assert whole.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/steps/999", 404), ("/steps/x", 404), ("/steps/-1", 404), ("/steps/1?line=x", 400), ("?after=1e3", 400)],
)
def test_addresses_that_lead_nowhere(ada: Browser, failed: str, path: str, status: int) -> None:
    assert ada.get(f"/builds/{failed}{path}").status == status


def test_a_member_shares_a_build_and_takes_it_back(owned: Server, ada: Browser, failed: str) -> None:
    shared = ada.submit(ada.get(f"/builds/{failed}"), f"/builds/{failed}/share", decision="share")
    found = re.search(r'id="shared" href="(/share/\w+)"', shared.text)
    assert found is not None, shared.words
    base, stranger = found[1], Browser(owned.url)
    page = stranger.get(base)
    assert "exit code: 7" in page.words
    assert "<form" not in page.text, "a stranger can change nothing"
    number = number_of(page, "echo said")
    paths = ("", f"/steps/{number}", f"/steps/{number}/log.txt", "/events")
    assert [stranger.get(base + path).status for path in paths] == [200] * 4
    stopped = ada.submit(ada.get(f"/builds/{failed}"), f"/builds/{failed}/share", decision="stop")
    assert 'id="share"' in stopped.text
    assert [stranger.get(base + path).status for path in paths] == [404] * 4


def test_sharing_needs_a_member_and_a_form_of_ours(owned: Server, ada: Browser, failed: str) -> None:
    path = f"/builds/{failed}/share"
    page = ada.get(f"/builds/{failed}")
    assert ada.post(path, decision="share").status == 403, "no token of the form"
    assert ada.post(path, decision="share", csrf=page.hidden("csrf"), origin="https://elsewhere.example").status == 403
    assert ada.submit(page, path, decision="else").status == 400
    eve = Browser(owned.url)
    join(eve, invite(owned, "eve@example.com", "ROLE_VIEWER"), name="Eve", password=PASSWORD)
    seen = eve.get(f"/builds/{failed}")
    assert seen.status == 200
    assert "/share" not in seen.text
    assert eve.post(path, decision="share", csrf=seen.hidden("csrf")).status == 403
    assert not owned.query("select 1 from build_shares where build_id = ?", failed)


def test_a_running_build_tells_when_there_is_more(owned: Server, ada: Browser, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo begun; sleep 60"))
    building = Depot(owned, tmp_path).begin(cwd=context, until=" begun")
    build = owned.builds()[-1][0]
    eventually(lambda: "begun" in ada.get(f"/builds/{build}").words.partition("Steps")[2], "its log is on the page")
    page = ada.get(f"/builds/{build}")
    assert 'src="/static/live.js"' in page.text
    assert "running" in page.words
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{owned.url}/builds/{build}/events", timeout=20)  # noqa: S310
    assert refused.value.code == 403
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(ada.cookies))
    with opener.open(f"{owned.url}/builds/{build}/events", timeout=60) as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        assert events.readline() == b"event: changed\n"
        building.terminate()
        assert events.read().endswith(b"event: end\ndata:\n\n")
    building.communicate(timeout=60)
