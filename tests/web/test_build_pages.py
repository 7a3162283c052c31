"""A build's page: why it failed, its steps and logs, live, and shared."""

from __future__ import annotations

import os
import re
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.harness.browser import PASSWORD, Browser, Page, join
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.large_record import IMAGE_DIGEST, write_large_record
from tests.harness.people import invite
from tests.harness.records import when_recorded
from tests.harness.server import Server
from tests.harness.waiting import eventually

MARKUP = "<script>alert(1)</script>"
LINES = 2500
RUN = 'RUN ["/bin/busybox",'


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


def number_of(page: Page, words: str) -> int:
    """The number of the step whose name has these words."""
    found = re.search(rf'/steps/(\d+)"><code>[^<]*{re.escape(words)}', page.text)
    assert found is not None, page.words
    return int(found[1])


def test_a_failure_comes_first_with_its_step_line_and_log(ada: Browser, failed: str) -> None:
    page = ada.get(f"/builds/{failed}")
    first = page.text.partition("<dl>")[0]
    assert re.search(rf"<title>✕ .*Build {failed} failed", page.text)
    assert "Running now" not in page.words
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
    for one in (page, step):
        scripts = re.findall(r"<script\b[^>]*>", one.text)
        assert all(re.fullmatch(r'<script src="/static/[a-z]+\.js" type="module">', script) for script in scripts)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_steps_have_bars_and_only_the_ends_of_long_logs(ada: Browser, failed: str) -> None:
    page = ada.get(f"/builds/{failed}")
    rows = re.findall(r'<li class="step .*?</li>', page.text, re.DOTALL)
    assert len(rows) > 3
    assert [row.count('<rect class="on"') for row in rows] == [1] * len(rows)
    assert f"said {LINES}" in page.words
    assert "said 100 " not in page.words
    assert "style=" not in page.text, "the policy would not let it have an effect"


def test_a_long_log_is_shown_in_windows_and_downloaded_whole(ada: Browser, failed: str) -> None:
    number = number_of(ada.get(f"/builds/{failed}"), "echo said")
    base = f"/builds/{failed}/steps/{number}"
    last, first = ada.get(base), ada.get(f"{base}?line=12")
    assert f'id="L{LINES}"' in last.text
    assert "Earlier lines" in last.words
    assert 'id="L12"' in first.text
    assert 'id="L1001"' not in first.text
    whole = ada.get(f"{base}/log.txt")
    assert whole.text.splitlines() == [f"said {n}" for n in range(1, LINES + 1)]
    assert whole.headers["content-type"].startswith("text/plain")
    assert whole.headers["content-disposition"].startswith("attachment")


@pytest.fixture(scope="module")
def changed(owned: Server, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Builds of a project of their own: the first, one after a file changed, and one of another instruction."""
    folder = tmp_path_factory.mktemp("changed")
    project = owned.new_project("changed")
    depot = Depot(owned, folder)
    found: list[str] = []
    for content, command in (("one", "echo hello"), ("two", "echo hello"), ("two", "echo goodbye")):
        dockerfile = HEADER + "COPY a.txt /a.txt\n" + run(f"{command}; cat /a.txt")
        context = make_context(folder / "context", dockerfile, **{"a.txt": content})
        built = depot("build", ".", cwd=context, DEPOT_PROJECT_ID=project)
        assert built.code == 0, built.output
        found.append(owned.builds(project)[-1][0])
        when_recorded(owned, found[-1])
    return found


def reasons(page: Page) -> dict[str, str]:
    """Why steps were not cached, by a few words of their names."""
    found: dict[str, str] = {}
    for row in re.findall(r'<li class="step .*?</li>', page.text, re.DOTALL):
        words = Page(200, "", row, {}).words
        name, is_done, why = words.partition(" Not cached: ")
        if is_done:
            found[" ".join(name.split("] ", 1)[1].split()[:2])] = why
    return found


def test_each_step_that_was_done_says_why(ada: Browser, changed: list[str]) -> None:
    first, second, third = (reasons(ada.get(f"/builds/{build}")) for build in changed)
    again = r"it needs step \d+, which ran again"
    assert "no build of this project for this platform is recorded before it" in first["COPY busybox"]
    assert re.search(again, first["COPY a.txt"])
    assert set(second) == {"COPY a.txt", RUN}
    assert "changed since the last build" in second["COPY a.txt"]
    assert re.search(again, second[RUN])
    assert set(third) == {RUN}
    assert "the last build had another step in its place" in third[RUN]
    assert "echo hello" in third[RUN]


def test_a_failed_build_shows_the_last_good_one_and_what_changed_since(
    owned: Server, ada: Browser, tmp_path: Path
) -> None:
    project = owned.new_project("broken")
    depot, builds = Depot(owned, tmp_path), list[str]()
    for number, command in enumerate(("echo a", "echo a", "echo a", "exit 7"), 1):
        # BuildKit quotes the Dockerfile in its warning of MAINTAINER.
        context = make_context(tmp_path / "context", HEADER + "MAINTAINER ada\n" + run(command))
        depot.build("-t", f"acme/shop:{number}", cwd=context, DEPOT_PROJECT_ID=project)
        builds.append(owned.builds(project)[-1][0])
        when_recorded(owned, builds[-1])
    assert [status for _, status, _ in owned.builds(project)] == ["succeeded"] * 3 + ["failed"]

    page = ada.get(f"/builds/{builds[-1]}")

    good = page.text.partition("Last good build")[2].partition("</section>")[0]
    assert f'href="/builds/{builds[2]}">acme/shop:3<' in good
    words = Page(200, "", good, {}).words
    assert re.search(r"Dockerfile 4 \N{MINUS SIGN} RUN .*echo a.* 4 \+ RUN .*exit 7", words), words
    assert "Usual duration" in page.words
    assert "Last good build" not in ada.get(f"/builds/{builds[2]}").words
    owned_by = ada.submit(page, f"{page.path}/share", decision="share")
    link = re.search(r'id="shared" href="(/share/\w+)"', owned_by.text)
    assert link is not None
    shared = Browser(owned.url).get(link[1])
    assert "acme/shop:4" in shared.words
    for words in ("Last good build", "Usual duration", "Tags", "organization token"):
        assert words not in shared.words


def states(page: Page) -> dict[str, str]:
    """The states of steps, by a few words of their names."""
    rows = re.findall(r'<li class="step is-([\w-]+)"[^>]*>(.*?)</li>', page.text, re.DOTALL)
    return {re.sub(r"^\[[^]]*\] ", "", Page(200, "", row, {}).words): state for state, row in rows}


def test_a_step_that_was_canceled_because_another_failed_is_not_painted_as_a_failure(
    owned: Server, ada: Browser, tmp_path: Path
) -> None:
    project = owned.new_project("one of two fails")
    stages = HEADER + "FROM base AS slow\n" + run("sleep 60") + "FROM base AS bad\n" + run("sleep 2; exit 7")
    last = "FROM base\nCOPY --from=slow /bin/busybox /slow\nCOPY --from=bad /bin/busybox /bad\n"
    context = make_context(tmp_path / "context", stages + last)

    assert Depot(owned, tmp_path).build(cwd=context, DEPOT_PROJECT_ID=project).code != 0

    ((build, status, _),) = owned.builds(project)
    when_recorded(owned, build)
    page = ada.get(f"/builds/{build}")
    found = states(page)
    assert status == "failed"
    assert [state for name, state in found.items() if "exit 7" in name] == ["failed"], found
    assert [state for name, state in found.items() if "sleep 60" in name] == ["canceled"], found
    assert {state for name, state in found.items() if "--from=" in name} == {"not-run"}, found
    assert "exit code: 7" in page.words.partition("Created")[0]


def test_a_canceled_build_says_by_whom_after_how_long_and_during_which_step(
    owned: Server, ada: Browser, tmp_path: Path
) -> None:
    project = owned.new_project("interrupted")
    context = make_context(tmp_path / "context", HEADER + run("echo begun; sleep 60"))
    client = Depot(owned, tmp_path).begin(cwd=context, until=" begun", DEPOT_PROJECT_ID=project)
    os.killpg(client.pid, signal.SIGINT)
    client.communicate(timeout=60)
    ((build, _, _),) = owned.builds(project)
    eventually(lambda: owned.builds(project)[0][1] == "canceled", "the build is canceled")
    when_recorded(owned, build)

    page = ada.get(f"/builds/{build}")

    assert re.search(
        r"Canceled by its client after [\d.]+ s \. During step \d+ , after [\d.]+ s:", page.words.replace(" s.", " s .")
    ), page.words
    assert "Why it failed" not in page.words
    assert 'class="tag canceled"' in page.text
    assert "failed" not in states(page).values()


def test_a_timeline_has_an_axis_a_legend_and_words_for_what_is_drawn(ada: Browser, changed: list[str]) -> None:
    page = ada.get(f"/builds/{changed[1]}")
    axis = re.search(r'<div class="axis".*?</div>', page.text, re.DOTALL)
    assert axis is not None
    ticks = re.findall(r"<text [^>]*>([^<]+)</text>", axis[0])
    assert ticks[0] == "0 s"
    assert 1 < len(ticks) <= 7
    assert "cached" in page.words
    run_row = re.search(r'<li class="step is-done"[^>]*>(?:(?!</li>).)*echo hello.*?</li>', page.text, re.DOTALL)
    assert run_row is not None
    assert '<rect class="path"' in run_row[0]
    assert "On the critical path, started after" in Page(200, "", run_row[0], {}).words
    path = re.search(r'<ol class="path">.*?</ol>', page.text, re.DOTALL)
    assert path is not None
    names: list[str] = re.findall(r"<li>(.*?)</li>", path[0], re.DOTALL)
    assert "COPY a.txt" in names[-2]
    assert "echo hello" in names[-1]


def test_a_shared_page_says_nothing_of_other_builds(owned: Server, ada: Browser, changed: list[str]) -> None:
    ada.submit(ada.get(f"/builds/{changed[2]}"), f"/builds/{changed[2]}/share", decision="share")
    ((share,),) = owned.query("select share_id from build_shares where build_id = ?", changed[2])
    page = Browser(owned.url).get(f"/share/{share}")
    assert "the last build had another step in its place" in page.words
    assert "echo hello" not in page.text
    assert not [build for build in changed[:2] if build in page.text]
    assert "/projects/" not in page.text


def test_trends_compare_the_builds_of_a_project(owned: Server, ada: Browser, changed: list[str]) -> None:
    ((project,),) = owned.query("select project_id from builds where id = ?", changed[0])
    page = ada.get(f"/projects/{project}/trends")
    assert page.status == 200, page.words
    rows = re.findall(r"<tr>\s*<th scope=\"row\">.*?</tr>", page.text, re.DOTALL)
    assert [build for row in rows for build in changed if build in row] == changed[::-1], "the newest first"
    shares = [[int(share) for share in re.findall(r"(\d+) %", row)] for row in rows]
    first, second, third = shares[::-1][:3]
    assert first == [0]
    assert third > second, "the last build had more of its steps from the cache than the one before"
    assert [len(re.findall("<rect ", one)) for one in re.findall(r"<figure.*?</figure>", page.text, re.DOTALL)] == [
        len(rows)
    ] * 3


def test_a_cache_that_was_reset_is_the_reason(owned: Server, ada: Browser, changed: list[str], tmp_path: Path) -> None:
    ((project,),) = owned.query("select project_id from builds where id = ?", changed[0])
    assert owned.call("depot.core.v1.ProjectService/ResetProject", {"projectId": project}).status == 200
    dockerfile = HEADER + "COPY a.txt /a.txt\n" + run("echo goodbye; cat /a.txt")
    context = make_context(tmp_path / "context", dockerfile, **{"a.txt": "two"})
    assert Depot(owned, tmp_path)("build", ".", cwd=context, DEPOT_PROJECT_ID=project).code == 0
    build = owned.builds(project)[-1][0]
    when_recorded(owned, build)
    why = reasons(ada.get(f"/builds/{build}"))
    assert "the last build had it too, with another cache" in why["COPY busybox"]
    assert "which ran again" in why["COPY a.txt"]


def test_trends_are_for_members_of_the_project(owned: Server, ada: Browser) -> None:
    assert Browser(owned.url).get(f"/projects/{owned.project}/trends").path == "/sign-in"
    assert ada.get("/projects/0000000000000000/trends").status == 404
    empty = ada.get(f"/projects/{owned.new_project('empty')}/trends")
    assert "No build of this project has finished yet" in empty.words


def test_a_large_build_is_one_page_with_ends_of_logs_and_windows(owned: Server, ada: Browser) -> None:
    build = write_large_record(owned, steps=2000, lines=40_000)
    page = ada.get(f"/builds/{build}")
    assert len(re.findall(r'<li class="step ', page.text)) == 500
    assert "Next steps" in page.words
    last = ada.get(f"/builds/{build}?after=1500")
    assert len(re.findall(r'<li class="step ', last.text)) == 500
    assert "Next steps" not in last.words
    assert len(re.findall(r'id="step-\d+-line-', page.text)) <= 2000
    assert f"docker.io/library/alpine:3 {IMAGE_DIGEST} for linux/amd64" in page.words
    window = ada.get(f"/builds/{build}/steps/1?line=12345")
    assert len(re.findall(r'<li id="L', window.text)) == 1000
    assert "line 12344 of step 1:" in window.words
    assert ada.get(f"/builds/{build}/steps/1/log.txt").text.count("\n") == 20_000


def test_a_failure_is_told_on_a_page_that_has_no_room_for_its_step(owned: Server, ada: Browser) -> None:
    page = ada.get(f"/builds/{write_large_record(owned, steps=2001, lines=2001, error='exit code: 9')}")
    assert "In step 2001 :" in page.words.partition("Created")[0]
    assert "exit code: 9" in page.words.partition("Created")[0]
    assert "Next steps" in page.words


def test_lines_are_found_and_linked(ada: Browser, failed: str) -> None:
    number = number_of(ada.get(f"/builds/{failed}"), "echo said")
    found = ada.get(f"/builds/{failed}/search?q=said%20249")
    assert "11 lines have" in found.words, "249 and 2490 to 2499"
    assert f'href="/builds/{failed}/steps/{number}?line=2499#L2499"' in found.text
    assert "<mark>said 249</mark>9" in found.text
    many = ada.get(f"/builds/{failed}/search?q=said")
    assert "200 lines have" in many.words
    assert "Not all lines were searched" in many.words
    hostile = ada.get(f"/builds/{failed}/search?q={MARKUP}")
    assert "<script" not in hostile.text
    assert "1 line has" in hostile.words
    assert "11 lines have" in ada.get(f"/builds/{failed}/search?q=SAID%20249").words
    assert "No line has" in ada.get(f"/builds/{failed}/search?q=unsaid").words
    assert [ada.get(f"/builds/{failed}/search{query}").status for query in ("", "?q=", f"?q={300 * 'x'}")] == [400] * 3


def test_warnings_are_listed_with_their_lines(ada: Browser, failed: str) -> None:
    listed = re.search(
        r'<section aria-labelledby="warnings">.*?</section>', ada.get(f"/builds/{failed}").text, re.DOTALL
    )
    assert listed is not None
    assert "Dockerfile:3" in listed[0]
    assert "maintainer" in listed[0].lower()


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
    assert 'method="post"' not in page.text, "a stranger can change nothing"
    number = number_of(page, "echo said")
    step = f"/steps/{number}"
    paths = (
        "",
        "/search?q=said",
        "/events",
        "/log.txt",
        *(step + more for more in ("", "?q=said", "/events", "/log.txt", "/raw.txt")),
    )
    assert [stranger.get(base + path).status for path in paths] == [200] * 9
    stopped = ada.submit(ada.get(f"/builds/{failed}"), f"/builds/{failed}/share", decision="stop")
    assert 'id="share"' in stopped.text
    assert [stranger.get(base + path).status for path in paths] == [404] * 9
    assert [Browser(owned.url).get(f"/builds/{failed}{path}").path for path in ("/log.txt", f"{step}/raw.txt")] == [
        "/sign-in"
    ] * 2


def test_sharing_needs_a_member_and_a_form_of_ours(owned: Server, ada: Browser, failed: str) -> None:
    path = f"/builds/{failed}/share"
    page = ada.get(f"/builds/{failed}")
    assert ada.post(path, decision="share").status == 403, "no token of the form"
    assert ada.post(path, decision="share", csrf=page.hidden("csrf"), origin="https://elsewhere.example").status == 403
    assert ada.submit(page, path, decision="else").status == 400
    asked = Browser(owned.url).post(path, decision="share")
    assert (asked.path, asked.hidden("next")) == ("/sign-in", f"/builds/{failed}"), "the form has no page of its own"
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
    last = '<code class="last">begun</code>'
    eventually(lambda: last in ada.get(f"/builds/{build}").text, "its last line is on the page")
    page = ada.get(f"/builds/{build}")
    assert 'src="/static/live.js"' in page.text
    assert "running" in page.words
    now = page.text.partition('aria-labelledby="now"')[2].partition("</section>")[0]
    assert re.search(rf"echo begun.*{last}", now, re.DOTALL)
    assert "data-running" in now
    assert re.search(rf"<title>● .*Build {build} running", page.text)
    with pytest.raises(urllib.error.HTTPError) as refused:
        Browser(owned.url).follow(f"/builds/{build}")
    assert refused.value.code == 403
    with ada.follow(f"/builds/{build}") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        assert re.fullmatch(rb"retry: [345]\d\d\d\n", events.readline())
        assert (events.readline(), events.readline()) == (b"\n", b"event: changed\n")
        building.terminate()
        assert events.read().endswith(b"event: end\ndata:\n\n")
    building.communicate(timeout=60)


def test_a_steps_page_leads_on_without_scripts(ada: Browser, failed: str) -> None:
    number = number_of(ada.get(f"/builds/{failed}"), "echo said")
    base = f"/builds/{failed}/steps/{number}"
    page = ada.get(base)
    assert f'href="{base}#L{LINES}"' in page.text, "to the end"
    neighbours = [re.search(rf'id="{name}" href="([^"]+)"', page.text) for name in ("previous", "next")]
    assert all(neighbours)
    after = neighbours[1]
    assert after is not None
    beyond = ada.get(after[1])
    assert beyond.status == 200
    assert f'id="previous" href="{base}"' in beyond.text
    assert f'href="{base}?wrap=no"' in page.text
    plain = ada.get(f"{base}?wrap=no&times=yes&line=12")
    assert 'class="log nowrap"' in plain.text
    assert len(re.findall(r"<time datetime=\"[^\"]+\">\d\d:\d\d:\d\d\.\d\d\d</time>", plain.text)) == 1000
    assert f'href="{base}?line=12&amp;times=yes"' in plain.text, "wraps again, and keeps the rest"
    assert "<time" not in page.text.partition('id="log"')[2]
    marked = ada.get(f"{base}?line=999-1001")
    assert re.findall(r'<li id="L(\d+)" class="marked"', marked.text) == ["999", "1000", "1001"]
    assert 'id="L999-L1001"' in marked.text, "what the fragment of such a link leads to"


def test_a_running_steps_page_is_live(owned: Server, ada: Browser, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo begun; sleep 60"))
    building = Depot(owned, tmp_path).begin(cwd=context, until=" begun")
    build = owned.builds()[-1][0]
    eventually(lambda: "No step runs" not in ada.get(f"/builds/{build}").words, "it runs")
    page = ada.get(f"/builds/{build}")
    base = f"/builds/{build}/steps/{number_of(page, 'echo begun')}"
    step = ada.get(base)
    assert 'src="/static/live.js"' in step.text
    assert "Reload" in step.words
    assert "running" in step.words
    with pytest.raises(urllib.error.HTTPError) as refused:
        Browser(owned.url).follow(base)
    assert refused.value.code == 403
    with ada.follow(base) as events:
        assert events.readline().startswith(b"retry: ")
        assert (events.readline(), events.readline()) == (b"\n", b"event: changed\n")
        building.terminate()
        assert events.read().endswith(b"event: end\ndata:\n\n")
    building.communicate(timeout=60)


def test_a_step_is_searched_in_place(ada: Browser, failed: str) -> None:
    number = number_of(ada.get(f"/builds/{failed}"), "echo said")
    base = f"/builds/{failed}/steps/{number}"
    page = ada.get(f"{base}?q=SAID%20249&wrap=no")
    assert "1 of 11 lines" in page.words, "249 and 2490 to 2499"
    assert '<li id="L249" class="current"' in page.text
    assert "<mark>said 249</mark>" in page.text
    assert 'id="previous-hit"' not in page.text
    after = re.search(r'id="next-hit" href="([^"]+)"', page.text)
    assert after is not None
    assert after[1] == f"{base}?q=SAID+249&amp;line=2490&amp;wrap=no#L2490"
    page = ada.get(f"{base}?q=SAID+249&line=2490&wrap=no")
    assert "2 of 11 lines" in page.words
    assert page.text.count("<mark>said 249</mark>") == 10, "all that the window has"
    assert "No line has “nothing of it”" in ada.get(f"{base}?q=nothing+of+it").words
    assert ada.get(f"{base}?q={300 * 'x'}").status == 400


def test_a_search_of_a_step_has_bounds(owned: Server, ada: Browser) -> None:
    build = write_large_record(owned, steps=2, lines=24_000)
    page = ada.get(f"/builds/{build}/steps/1?q=compiling&line=9")
    assert "9 of 10,000 lines" in page.words
    assert "Not all of the log was searched" in page.words


def test_logs_are_read_as_plain_text(ada: Browser, failed: str) -> None:
    page = ada.get(f"/builds/{failed}")
    said, red = number_of(page, "echo said"), number_of(page, "exit 7")
    raw = ada.get(f"/builds/{failed}/steps/{red}/raw.txt")
    assert raw.text == f"red\n{MARKUP}\n"
    assert "\x1b[31m" in ada.get(f"/builds/{failed}/steps/{red}/log.txt").text
    whole = ada.get(f"/builds/{failed}/log.txt")
    for one in (raw, whole):
        assert one.headers["content-type"] == "text/plain; charset=utf-8"
        assert one.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in one.headers["content-security-policy"]
        assert "sandbox" in one.headers["content-security-policy"]
        assert one.headers["cache-control"] == "no-store"
    assert whole.headers["content-disposition"] == f'attachment; filename="{failed}.txt"'
    lines = whole.text.splitlines()
    of_said = [line for line in lines if line.startswith(f"#{said} ")]
    assert len(of_said) == LINES + 2
    assert re.fullmatch(rf"#{said} \[.*\] RUN .*echo said.*", of_said[0])
    assert re.fullmatch(rf"#{said} \d+\.\d\d\d said 1", of_said[1])
    assert re.fullmatch(rf"#{said} DONE \d+\.\ds", of_said[-1])
    of_red = [line for line in lines if line.startswith(f"#{red} ")]
    assert re.fullmatch(rf"#{red} \d+\.\d\d\d red", of_red[1])
    assert of_red[-1].startswith(f"#{red} ERROR: ")
    assert "exit code: 7" in of_red[-1]
    assert ada.get(f"/builds/{failed}/steps/999/raw.txt").status == 404


def test_steps_are_filtered_by_kind_and_name(owned: Server, ada: Browser) -> None:
    base = f"/builds/{write_large_record(owned, steps=2000, lines=2000)}"

    def numbers(page: Page) -> list[int]:
        return [int(number) for number in re.findall(r'<li class="step [^>]*id="step-(\d+)"', page.text)]

    cached = ada.get(f"{base}?show=cached")
    assert numbers(cached) == list(range(3, 1501, 3)), "every third one, as many as a page has"
    after = re.search(r'<a href="([^"]+)#steps">Next steps', cached.text)
    assert after is not None
    assert after[1] == f"{base}?show=cached&amp;after=1500"
    assert numbers(ada.get(f"{base}?show=cached&after=1500")) == list(range(1503, 2001, 3))
    assert not set(numbers(ada.get(f"{base}?show=ran"))) & set(range(3, 2001, 3))
    assert numbers(ada.get(f"{base}?name=TARGET-199")) == [199, *range(1990, 2000)]
    assert numbers(ada.get(f"{base}?name=TARGET-199&show=ran")) == [199, 1990, 1991, 1993, 1994, 1996, 1997, 1999]
    for literally in ("%25", "_"):
        assert "No step matches" in ada.get(f"{base}?name={literally}").words
    assert "No step matches" in ada.get(f"{base}?show=failed").words
    for query, status in (("show=x", 400), (f"name={201 * 'x'}", 400), ("show=all&name=", 200)):
        assert ada.get(f"{base}?{query}").status == status, query


def test_steps_that_are_rarely_looked_at_are_folded_and_the_slowest_are_listed(
    ada: Browser, changed: list[str]
) -> None:
    page = ada.get(f"/builds/{changed[2]}")
    fold = re.search(r'<li class="fold" id="fold-\d+"><details id="folded-\d+"><summary>[^<]+</summary>', page.text)
    assert fold is not None
    assert re.search(r"\d (internal|cached) steps", fold[0])
    assert '<li class="fold"' not in ada.get(f"/builds/{changed[2]}?show=cached").text
    slowest = page.text.partition('<details id="slowest">')[2].partition("</details>")[0]
    times = re.findall(r"([\d.]+) s</span>", slowest)
    assert 1 <= len(times) <= 5
    assert [float(time) for time in times] == sorted(map(float, times), reverse=True)
