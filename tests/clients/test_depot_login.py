"""`depot login` and what follows: the published CLI in a terminal, approved by a person in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stoker.domain.people import Role
from tests.harness.browser import Browser, join, owner_code
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.people import Registry
from tests.harness.server import Server
from tests.harness.terminal import ENTER, LEFT, Terminal

PASSWORD = "coal and a good draught"
NOBODY = {"DEPOT_TOKEN": "", "DEPOT_ORG_ID": "", "DEPOT_PROJECT_ID": ""}


@pytest.fixture(scope="module")
def owned(make_server: Callable[..., Server]) -> Server:
    server = make_server()
    join(Browser(server.url), owner_code(server), email="ada@example.com", name="Ada", password=PASSWORD)
    return server


@pytest.fixture
def ada(owned: Server) -> Browser:
    browser = Browser(owned.url)
    browser.post("/sign-in", email="ada@example.com", password=PASSWORD, next="/")
    return browser


@pytest.fixture
def depot(owned: Server, tmp_path: Path) -> Depot:
    return Depot(owned, tmp_path)


@pytest.fixture
def login(depot: Depot, tmp_path: Path) -> Iterator[Terminal]:
    """A login that waits for its approval."""
    terminal = depot.terminal("login", cwd=tmp_path, **NOBODY)
    terminal.shows("Open link in browser?")
    terminal.press(LEFT, "n", ENTER)
    terminal.shows("Waiting for approval")
    yield terminal
    terminal.close()


def address(login: Terminal) -> str:
    found = re.search(r"https?://\S+/logins/[A-Z]{4}-[A-Z]{4}", login.written)
    assert found is not None, login.written
    return found[0]


def test_a_login_makes_the_cli_act_as_its_person(
    owned: Server, ada: Browser, depot: Depot, login: Terminal, tmp_path: Path
) -> None:
    approved = ada.submit(ada.get(address(login)), decision="approve")
    assert "Approved" in approved.words
    assert login.ends() == 0
    assert "Successfully authenticated!" in login.written

    second = Registry(owned).organization("second")
    person = owned.query("select id from people where email = 'ada@example.com'")[0][0]
    Registry(owned).add_member(second, person, Role.MEMBER)
    listed = depot("org", "list", cwd=tmp_path, **NOBODY)
    assert listed.code == 0, listed.output
    assert "default" in listed.output
    assert "second" in listed.output
    assert "hello" in depot("projects", "list", cwd=tmp_path, **NOBODY).output
    context = make_context(tmp_path / "context", HEADER + run("echo built by a person"))
    built = depot.build("--project", owned.project, cwd=context, **NOBODY)
    assert built.code == 0, built.output

    switched = depot("org", "switch", second, cwd=tmp_path, **NOBODY)
    assert switched.code == 0, switched.output
    created = depot("projects", "create", "in the second", cwd=tmp_path, **NOBODY)
    assert created.code == 0, created.output
    assert owned.query("select organization_id from projects where name = 'in the second'") == [(second,)]

    assert depot("logout", cwd=tmp_path, **NOBODY).code == 0
    assert depot("projects", "list", cwd=tmp_path, **NOBODY).code != 0


def test_a_refused_login_ends_with_the_reason(ada: Browser, login: Terminal, tmp_path: Path) -> None:
    ada.submit(ada.get(address(login)), decision="refuse")
    assert login.ends() != 0
    assert "refused" in login.written
    assert not (tmp_path / ".config" / "depot" / "depot.yaml").exists()
