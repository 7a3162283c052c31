"""`stoker builds` about real builds: their logs, as they come and afterwards, where they failed, and their pages."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.records import when_recorded
from tests.harness.server import Server
from tests.harness.waiting import eventually
from tests.harness.waiting_step import WAIT, end_waiting_steps

OWN = "stoker.v1.BuildService"


@pytest.fixture(scope="module")
def failed(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A build that says something in two steps, and fails in the second."""
    folder = tmp_path_factory.mktemp("failed")
    project = server.new_project("failed")
    talk = run("for n in $(seq 1 1200); do echo said $n; done")
    fail = run("printf '\\033[31mred\\033[0m\\n' >&2; echo the reason >&2; exit 7")
    # BuildKit quotes the Dockerfile in its warning of MAINTAINER.
    context = make_context(folder / "context", HEADER + "MAINTAINER ada\n" + talk + fail)
    assert Depot(server, folder).build(cwd=context, DEPOT_PROJECT_ID=project).code != 0
    build = server.builds(project)[-1][0]
    when_recorded(server, build)
    return build


@pytest.fixture
def stoker(server: Server, tmp_path: Path) -> Command:
    return Command(tmp_path, server.first)


def test_all_logs_are_printed_with_the_numbers_of_their_steps(stoker: Command, failed: str) -> None:
    printed = stoker.apart("builds", "logs", failed)
    assert printed.code == 0, printed.stderr
    numbers = {line.partition(" ")[0] for line in printed.lines if line.endswith(" said 1200")}
    (number,) = numbers
    said = [line for line in printed.lines if line.startswith(f"{number} said ")]
    assert said == [f"{number} said {n}" for n in range(1, 1201)]
    assert any("echo said" in line for line in printed.lines), "steps have their names"
    assert not any("\x1b" in line or "\N{REPLACEMENT CHARACTER}" in line for line in printed.lines)


def test_the_log_of_the_failed_step_is_printed_alone(stoker: Command, failed: str) -> None:
    printed = stoker.apart("builds", "logs", failed, "--failed")
    assert (printed.code, printed.lines, printed.stderr) == (0, ["red", "the reason"], "")


def test_a_step_is_chosen_by_its_number(server: Server, stoker: Command, failed: str) -> None:
    steps = server.call(f"{OWN}/ListBuildSteps", {"buildId": failed}).body["steps"]
    (number,) = [one["number"] for one in steps if "echo said" in one["name"]]
    printed = stoker.apart("builds", "logs", failed, "--step", str(number))
    assert printed.lines == [f"said {n}" for n in range(1, 1201)]
    missing = stoker.apart("builds", "logs", failed, "--step", "999")
    assert (missing.code, missing.stdout) == (1, "")
    assert f"build {failed} has no step 999" in missing.stderr
    both = stoker.apart("builds", "logs", failed, "--step", "1", "--failed")
    assert (both.code, "exclude each other" in both.stderr) == (2, True)


def test_a_failed_build_is_shown_with_its_step_its_last_lines_and_its_address(
    server: Server, stoker: Command, failed: str
) -> None:
    shown = stoker.apart("builds", "show", failed)
    assert shown.code == 0, shown.stderr
    facts = {line.split("  ")[0]: line.split()[-1] for line in shown.lines if "  " in line}
    assert facts["status"] == "failed"
    assert facts["page"] == f"{server.url}/builds/{failed}"
    (step,) = [line for line in shown.lines if line.startswith("failed step #")]
    assert "exit 7" in step
    assert any(line.startswith("Dockerfile:") and "exit 7" in line for line in shown.lines)
    assert shown.lines[-2:] == ["  red", "  the reason"]
    assert f"stoker builds logs {failed} --failed" in shown.stderr


def test_logs_are_followed_until_the_build_is_over(
    server: Server, stoker: Command, depot: Depot, tmp_path: Path
) -> None:
    project = server.new_project("followed")
    context = make_context(tmp_path / "context", HEADER + run(f"echo before; {WAIT}; echo after"))
    building = depot.begin(cwd=context, until=" before", DEPOT_PROJECT_ID=project)
    build = server.builds(project)[-1][0]
    following = stoker.popen("builds", "logs", build, "--follow")
    watching = stoker.popen("builds", "watch", build)
    assert following.stdout is not None
    assert any(line.endswith(" before\n") for line in following.stdout), "it comes while the step runs"
    once = stoker.apart("builds", "logs", build)
    assert (once.code, any(line.endswith(" before") for line in once.lines)) == (0, True)

    end_waiting_steps(server)

    rest, _ = following.communicate(timeout=60)
    assert (following.returncode, " after\n" in rest) == (0, True), rest
    watched, _ = watching.communicate(timeout=60)
    assert watching.returncode == 0, watched
    assert f"build {build} succeeded after " in watched.splitlines()[-1]
    assert " done after " in watched
    building.communicate(timeout=60)


def test_watching_a_failed_build_says_where_it_failed(stoker: Command, failed: str) -> None:
    watched = stoker.apart("builds", "watch", failed)
    assert watched.code == 1
    assert any(line.startswith(f"build {failed} failed after ") for line in watched.lines)
    assert any(line.startswith("failed step #") for line in watched.lines)
    assert watched.lines[-1] == "  the reason"


def test_a_build_is_opened_and_shared(server: Server, stoker: Command, failed: str, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "xdg-open"
    program.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    program.chmod(0o755)
    shown = stoker.apart("builds", "open", failed, PATH=f"{program.parent}:{os.environ['PATH']}")
    assert shown.stdout.strip() == f"{server.url}/builds/{failed}"
    eventually(opened.exists, "the browser is opened")
    assert opened.read_text() == shown.stdout

    shared = stoker.apart("builds", "share", failed)
    assert shared.stdout.startswith(f"{server.url}/share/")
    assert "anyone with this address" in shared.stderr
    assert stoker.apart("builds", "share", failed, "--stop").code == 0
    assert server.query("select count(*) from build_shares where build_id = ?", failed) == [(0,)]


def test_steps_and_lines_come_in_pages(server: Server, failed: str) -> None:
    def pages(method: str, items: str, request: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            answer = server.call(f"{OWN}/{method}", {**request, "pageToken": token}).body
            found += answer[items]
            token = answer.get("nextPageToken", "")
            if not token:
                return found

    steps = pages("ListBuildSteps", "steps", {"buildId": failed, "pageSize": 2})
    assert [one["number"] for one in steps] == sorted({one["number"] for one in steps})
    (talk,) = [one for one in steps if "echo said" in one["name"]]
    (fail,) = [one for one in steps if one.get("error")]
    assert (talk["logLines"], "exit code: 7" in fail["error"]) == (1200, True)
    lines = pages("ListLogLines", "lines", {"buildId": failed, "stepNumber": talk["number"], "pageSize": 500})
    assert [(one["number"], one["text"]) for one in lines] == [(n, f"said {n}\n") for n in range(1, 1201)]
    assert not any(one.get("isStderr") for one in lines)
    failure = server.call(f"{OWN}/GetBuildFailure", {"buildId": failed}).body
    assert (failure["step"]["number"], failure["filename"]) == (fail["number"], "Dockerfile")
    assert [(one["text"], one.get("isStderr", False)) for one in failure["lines"]] == [
        ("\x1b[31mred\x1b[0m\n", True),
        ("the reason\n", True),
    ]


@pytest.mark.parametrize(
    "ask",
    [
        lambda call, build: call("ListBuildSteps", {"buildId": build, "pageSize": 501}),
        lambda call, build: call("ListBuildSteps", {"buildId": build, "pageToken": "x"}),
        lambda call, build: call("ListLogLines", {"buildId": build, "stepNumber": 1, "pageSize": -1}),
    ],
)
def test_pages_that_can_not_be_are_refused(
    server: Server, failed: str, ask: Callable[[Callable[[str, dict[str, Any]], str | None], str], str | None]
) -> None:
    assert ask(lambda method, request: server.call(f"{OWN}/{method}", request).code, failed) == "invalid_argument"
