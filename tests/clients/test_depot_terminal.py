"""The published depot CLI in a terminal: its pickers, tables and questions, driven by keys."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.server import Server
from tests.harness.terminal import CTRL_C, DOWN, ENTER, LEFT, Terminal
from tests.harness.waiting import eventually

Run = Callable[..., Terminal]
NO_PROJECT = {"DEPOT_PROJECT_ID": ""}


@pytest.fixture
def terminal(depot: Depot) -> Iterator[Run]:
    with depot.terminals() as start:
        yield start


@pytest.fixture
def name() -> str:
    """A project's name that no other test has."""
    return f"terminal {secrets.token_hex(4)}"


@pytest.fixture
def project(server: Server, name: str) -> str:
    return server.new_project(name)


@pytest.fixture
def logged_in(server: Server, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has an organization's token in the CLI's own file and nowhere else."""
    file = tmp_path / ".config" / "depot" / "depot.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"api_token: {server.token}\n")
    return {"DEPOT_TOKEN": "", "DEPOT_ORG_ID": ""}


def find(picker: Terminal, name: str, count: str) -> None:
    """Have a picker show the projects of that name, of all that the tests have made."""
    picker.shows("Choose a project")
    picker.press("/", *name)
    picker.shows(f"Filter: {name}", f"{count} •")


def pick(picker: Terminal, name: str) -> None:
    """Choose the project of that name."""
    find(picker, name, "1 item")
    picker.press(ENTER)


def test_init_writes_the_project_that_was_picked(terminal: Run, project: str, name: str, tmp_path: Path) -> None:
    picker = terminal("init", **NO_PROJECT)

    pick(picker, name)

    assert picker.ends() == 0
    assert f"Project {name} (default) initialized" in picker.written
    assert json.loads((tmp_path / "depot.json").read_text()) == {"id": project}


def test_init_goes_through_its_list_by_the_arrows(server: Server, terminal: Run, name: str, tmp_path: Path) -> None:
    projects = {f"{name} {which}": server.new_project(f"{name} {which}") for which in ("one", "two")}
    picker = terminal("init", **NO_PROJECT)
    find(picker, name, "2 items")
    screen = picker.shows(*projects)
    second = max(projects, key=screen.index)

    picker.press(DOWN, DOWN, ENTER)  # the first one leaves the filter

    assert picker.ends() == 0
    assert json.loads((tmp_path / "depot.json").read_text()) == {"id": projects[second]}


def test_init_can_be_left_without_a_choice(terminal: Run, tmp_path: Path) -> None:
    picker = terminal("init", **NO_PROJECT)
    picker.shows("Choose a project")

    picker.press("q")

    picker.ends()
    assert not (tmp_path / "depot.json").exists()


def test_init_takes_a_named_project_and_asks_nothing(terminal: Run, project: str, tmp_path: Path) -> None:
    started = terminal("init", "--project", project)

    assert started.ends() == 0
    assert json.loads((tmp_path / "depot.json").read_text()) == {"id": project}


def test_a_build_without_a_project_asks_for_one(
    server: Server, terminal: Run, project: str, name: str, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    building = terminal("build", ".", cwd=context, **NO_PROJECT)

    pick(building, name)
    building.shows("Create a depot.json file to remember this project")
    building.press_until("y", f"Project {name} (default) initialized")

    assert building.ends() == 0, building.written
    assert json.loads((context / "depot.json").read_text()) == {"id": project}
    assert [status for _, status, _ in server.builds(project)] == ["succeeded"]


def test_build_and_bake_draw_their_progress(server: Server, terminal: Run, project: str, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    (context / "docker-bake.json").write_text(json.dumps({"target": {"default": {}}}))

    for command in (["build", "."], ["bake"]):
        drawn = terminal(*command, cwd=context, DEPOT_PROJECT_ID=project)
        assert drawn.ends() == 0, drawn.written
        assert "\x1b[?25l[+] Building" in drawn.written, "it hides the cursor to draw"

    assert [status for _, status, _ in server.builds(project)] == ["succeeded", "succeeded"]


def test_ctrl_c_cancels_a_build(server: Server, terminal: Run, project: str, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo begun; sleep 60; echo over"))
    building = terminal("build", ".", cwd=context, DEPOT_PROJECT_ID=project)
    building.shows("begun; sleep 60")

    building.press(CTRL_C)

    assert building.ends() != 0
    eventually(lambda: server.builds(project)[-1][1] == "canceled", "the build is canceled")


@pytest.mark.parametrize("command", [("projects", "list"), ("list", "projects")])
def test_projects_are_a_table(terminal: Run, project: str, name: str, command: tuple[str, str]) -> None:
    table = terminal(*command)
    table.shows("Project ID")

    table.press("G")

    screen = table.shows(project, name)
    assert "│" in screen
    table.press("q")
    assert table.ends() == 0


def test_builds_are_a_table_through_which_one_pages(server: Server, terminal: Run, project: str) -> None:
    builds = [server.new_build(project)[0] for _ in range(45)]
    server.call("depot.build.v1.BuildService/FinishBuild", {"buildId": builds[-1], "success": {}})
    table = terminal("list", "builds", "--project", project)
    screen = table.shows("Build ID", builds[-1], builds[-2])
    row = next(line for line in screen.splitlines() if builds[-1] in line)
    assert "finished" in row
    assert builds[0] not in screen

    table.press("G")

    table.shows(builds[0])
    table.press("q")
    assert table.ends() == 0


def test_a_project_is_deleted_when_that_is_confirmed_and_else_not(server: Server, terminal: Run, project: str) -> None:
    get = "depot.core.v1.ProjectService/GetProject"
    spared = terminal("projects", "delete", "--project-id", project)
    spared.shows("Are you sure")
    spared.press("n")
    spared.ends()
    assert server.call(get, {"projectId": project}).status == 200

    deleted = terminal("projects", "delete", "--project-id", project)
    deleted.shows("Are you sure")
    deleted.press(LEFT, ENTER)

    assert deleted.ends() == 0
    assert server.call(get, {"projectId": project}).code == "not_found"


def test_organizations_are_listed_switched_to_and_shown(
    server: Server, terminal: Run, logged_in: dict[str, str]
) -> None:
    organization = server.first["DEPOT_ORG_ID"]
    table = terminal("org", "list", **logged_in)
    table.shows("Organization ID", organization)
    table.press("q")
    assert table.ends() == 0

    # A token of one organization leaves nothing to pick.
    switched = terminal("org", "switch", **logged_in)
    assert switched.ends() == 0, switched.written
    shown = terminal("org", "show", **logged_in)

    assert shown.ends() == 0
    assert organization in shown.written


def test_cache_reset_says_whose_cache(terminal: Run, project: str, name: str) -> None:
    reset = terminal("cache", "reset", "--project", project)

    assert reset.ends() == 0
    assert f"Cache reset for {name} (default)" in reset.written


def test_logout_forgets_the_token(server: Server, terminal: Run, logged_in: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / ".config" / "depot" / "depot.yaml"
    assert server.token in file.read_text()

    assert terminal("logout", **logged_in).ends() == 0

    assert server.token not in file.read_text()
