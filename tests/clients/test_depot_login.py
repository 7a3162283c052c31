"""`depot login` and what follows from it: a person's token, several organizations, and the way out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stoker.domain.people import Role
from tests.harness.browser import PASSWORD, Browser
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.people import Registry
from tests.harness.server import Server
from tests.harness.terminal import DOWN, ENTER, Terminal
from tests.web.test_people import join, owner_code

GET = "depot.core.v1.ProjectService/GetProject"


@dataclass(frozen=True)
class Desk:
    """Somebody with a terminal and a browser. In the environment is nothing but the server's address."""

    server: Server
    home: Path
    start: Callable[..., Terminal]
    browser: Browser

    @property
    def settings(self) -> Path:
        return self.home / ".config" / "depot" / "depot.yaml"

    def depot(self, *arguments: str, cwd: Path | None = None) -> Terminal:
        nobody = {"DEPOT_TOKEN": "", "DEPOT_ORG_ID": "", "DEPOT_PROJECT_ID": ""}
        return self.start(*arguments, cwd=cwd or self.home, **nobody)

    def log_in(self, decision: str = "approve") -> Terminal:
        login = self.depot("login")
        login.shows("Open link in browser?")
        login.press_until("n", "Waiting for approval")
        found = re.search(rf"{self.server.url}/logins/\S+", login.screen)
        assert found is not None, login.screen
        self.browser.submit(self.browser.get(found[0]), decision=decision)
        return login

    def keep(self, token: str) -> None:
        """Put a token where a login puts it."""
        self.settings.parent.mkdir(parents=True)
        self.settings.write_text(f"api_token: {token}\n")


@pytest.fixture(scope="module")
def owned(make_server: Callable[..., Server]) -> Server:
    server = make_server()
    join(Browser(server.url), owner_code(server), email="ada@example.com", name="Ada", password=PASSWORD)
    return server


@pytest.fixture
def ada(owned: Server, tmp_path: Path) -> Iterator[Desk]:
    browser = Browser(owned.url)
    browser.post("/sign-in", email="ada@example.com", password=PASSWORD, next="/")
    with Depot(owned, tmp_path).terminals() as start:
        yield Desk(owned, tmp_path, start, browser)


def test_login_builds_and_logout(owned: Server, ada: Desk) -> None:
    login = ada.log_in()

    assert login.ends() == 0
    assert "Successfully authenticated" in login.screen
    assert "api_token: stoker_usr_" in ada.settings.read_text()
    assert f"org_id: {owned.first['DEPOT_ORG_ID']}" in ada.settings.read_text()
    context = make_context(ada.home / "context", HEADER + run("echo hello"))
    building = ada.depot("build", "--project", owned.project, ".", cwd=context)
    assert building.ends() == 0, building.written
    again = ada.depot("login")
    assert again.ends() == 0
    assert "You are already logged in" in again.screen

    assert ada.depot("logout").ends() == 0

    assert "stoker_usr_" not in ada.settings.read_text()
    # Whoever isn't logged in is asked to, whatever they wanted.
    ada.depot("list", "builds", "--project", owned.project).shows("visit the following URL to authenticate")


def test_a_login_that_is_refused_says_so(ada: Desk) -> None:
    login = ada.log_in("refuse")

    assert login.ends() != 0
    assert "permission_denied" in login.screen
    assert not ada.settings.exists() or "stoker_usr_" not in ada.settings.read_text()


def test_a_person_of_two_organizations_picks_one_and_creates_projects_there(owned: Server, ada: Desk) -> None:
    registry = Registry(owned)
    first, second = owned.first["DEPOT_ORG_ID"], registry.organization("second")
    both = registry.person("both", **{f"o{first}": Role.OWNER, f"o{second}": Role.OWNER})
    ada.keep(both.token)
    table = ada.depot("org", "list")
    table.shows(first, second)
    table.press("q")
    assert table.ends() == 0
    picker = ada.depot("org", "switch")
    picker.shows("Select an organization", f"second ({second})")

    picker.press(DOWN, ENTER)

    assert picker.ends() == 0
    assert f"org_id: {second}" in ada.settings.read_text()
    shown = ada.depot("org", "show")
    assert shown.ends() == 0
    assert second in shown.screen
    created = ada.depot("projects", "create", "of the second")
    assert created.ends() == 0, created.written
    project = json.loads(created.screen)["project_id"]
    assert owned.call(GET, {"projectId": project}, token=both.token).body["project"]["organizationId"] == second
    # The CLI names the organization nowhere else: lists have the projects of all of them.
    projects = ada.depot("projects", "list")
    projects.shows(owned.project, project)
    projects.press("q")
    assert projects.ends() == 0


def test_an_organization_that_is_not_ones_own_and_one_that_is_nowhere_look_alike(owned: Server, ada: Desk) -> None:
    registry = Registry(owned)
    own, foreign, unknown = owned.first["DEPOT_ORG_ID"], registry.organization("foreign"), "0" * 16
    ada.keep(registry.person("outsider", **{f"o{own}": Role.OWNER}).token)
    said: list[str] = []

    for organization in (foreign, unknown):
        assert ada.depot("org", "switch", organization).ends() == 0, "the CLI asks nobody"
        created = ada.depot("projects", "create", "of somebody else")
        assert created.ends() != 0
        said.append(created.screen.replace(organization, "ORGANIZATION"))

    assert said[0] == said[1]
    assert "not_found: organization ORGANIZATION was not found" in said[0]
