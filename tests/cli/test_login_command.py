"""`stoker login`, `logout` and `whoami`, and which login or variable counts."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stoker.client.credentials import Credentials, CredentialsError, read_credentials, write_credentials
from tests.cli.conftest import Company
from tests.harness.browser import Browser
from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.server import Server
from tests.harness.waiting import eventually
from tests.web.test_people import OWNER, PASSWORD, join, owner_code

TOKEN = re.compile(r"stoker_usr_\w{36}")
PAGE = re.compile(r"^ +(http\S+/logins/\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def owned(make_server: Callable[..., Server]) -> Server:
    """A server with an owner who signs in with a password."""
    server = make_server()
    join(Browser(server.url), owner_code(server), email=OWNER, name="Ada", password=PASSWORD)
    return server


@pytest.fixture
def ada(owned: Server) -> Browser:
    browser = Browser(owned.url)
    browser.post("/sign-in", email=OWNER, password=PASSWORD, next="/")
    return browser


@pytest.fixture
def stoker(tmp_path: Path) -> Command:
    """The command as somebody runs it who has set nothing."""
    return Command(tmp_path)


@dataclass
class Login:
    """A `stoker login` that waits for its approval."""

    process: subprocess.Popen[str]
    page: str = ""
    said: list[str] = field(default_factory=list[str])

    @classmethod
    def begin(cls, stoker: Command, *arguments: str, **environment: str) -> Login:
        login = cls(stoker.popen("login", *arguments, **environment))
        login.until("waiting for the approval")
        login.page = PAGE.findall("".join(login.said))[0]
        return login

    def until(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if text in line:
                return
        raise AssertionError(f"it never said {text!r}: {''.join(self.said)}")

    def end(self) -> str:
        rest, _ = self.process.communicate(timeout=30)
        whole = "".join(self.said) + rest
        assert "Traceback" not in whole
        assert "unhandled" not in whole
        return whole


def credentials_file(home: Path) -> Path:
    return home / ".config" / "stoker" / "credentials.toml"


def log_in(stoker: Command, ada: Browser, url: str) -> None:
    login = Login.begin(stoker, "--api-url", url)
    ada.submit(ada.get(login.page), decision="approve")
    output = login.end()
    assert login.process.returncode == 0, output


def test_a_login_is_kept_for_its_user_alone(owned: Server, ada: Browser, stoker: Command, tmp_path: Path) -> None:
    login = Login.begin(stoker, "--api-url", f"{owned.url}/")
    page = ada.get(login.page)
    assert f"({os.uname().nodename})" in page.words, "it says from where it comes"
    ada.submit(page, decision="approve")
    output = login.end()
    assert login.process.returncode == 0, output
    assert output.splitlines() == [
        "Open this page, and approve the login there:",
        "",
        f"    {login.page}",
        "",
        "waiting for the approval ...",
        f"Ada ({OWNER}) is logged in at {owned.url}; {credentials_file(tmp_path)} keeps the token",
    ], "nothing else is written"

    file = credentials_file(tmp_path)
    (token,) = TOKEN.findall(file.read_text())
    assert token not in output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    who = stoker.apart("whoami")
    assert (who.code, token in who.stdout) == (0, False)
    assert all(word in who.stdout for word in (owned.url, str(file), OWNER, "default (owner)", "operator"))

    assert stoker.apart("logout").code == 0
    assert token not in file.read_text()
    assert "revoked" in stoker.apart("whoami", DEPOT_API_URL=owned.url, DEPOT_TOKEN=token).stderr
    gone = stoker.apart("whoami")
    assert (gone.code, gone.stdout) == (1, "")
    assert "stoker login" in gone.stderr


def test_a_login_whose_server_is_away_is_kept_unless_it_needn_t_know(stoker: Command, tmp_path: Path) -> None:
    file, away = credentials_file(tmp_path), "http://127.0.0.1:1"
    write_credentials(file, Credentials(away, {away: "stoker_usr_" + "a" * 36}))

    refused = stoker.apart("logout")
    assert (refused.code, away in file.read_text()) == (1, True)
    assert "can't reach" in refused.stderr
    assert "stoker logout --local" in refused.stderr

    assert stoker.apart("logout", "--local").code == 0
    assert away not in file.read_text()


def test_a_login_that_the_server_no_longer_knows_can_be_ended(owned: Server, stoker: Command, tmp_path: Path) -> None:
    file = credentials_file(tmp_path)
    write_credentials(file, Credentials(owned.url, {owned.url: "stoker_usr_" + "a" * 36}))

    assert stoker.apart("logout").code == 0
    assert owned.url not in file.read_text()


def test_a_login_in_a_terminal_shows_that_it_waits(owned: Server, ada: Browser, stoker: Command) -> None:
    terminal = stoker.terminal("login", "--api-url", owned.url)
    seen = terminal.shows("waiting for the approval")
    ada.submit(ada.get(PAGE.findall(seen)[0]), decision="approve")
    terminal.shows("is logged in")
    assert terminal.ends() == 0
    assert not TOKEN.search(terminal.written)


def test_a_refused_login_keeps_nothing(owned: Server, ada: Browser, stoker: Command, tmp_path: Path) -> None:
    login = Login.begin(stoker, DEPOT_API_URL=owned.url)
    ada.submit(ada.get(login.page), decision="refuse")
    assert "refused" in login.end()
    assert login.process.returncode == 1
    assert not credentials_file(tmp_path).exists()


def test_ctrl_c_ends_a_login(owned: Server, stoker: Command, tmp_path: Path) -> None:
    login = Login.begin(stoker, "--api-url", owned.url)
    os.killpg(login.process.pid, signal.SIGINT)
    assert login.end().endswith("canceled\n")
    assert login.process.returncode == 130
    assert not credentials_file(tmp_path).exists()


def test_a_login_outlives_a_restart_of_the_api(owned: Server, ada: Browser, stoker: Command) -> None:
    login = Login.begin(stoker, "--api-url", owned.url)
    before = owned.part("api")
    os.kill(before, signal.SIGKILL)
    eventually(lambda: owned.part("api") != before, "the API is started again")
    eventually(lambda: is_answering(ada), "it answers")
    ada.submit(ada.get(login.page), decision="approve")
    output = login.end()
    assert login.process.returncode == 0, output


def is_answering(browser: Browser) -> bool:
    try:
        return browser.get("/").status == 200
    except OSError:
        return False


def test_a_browser_opens_only_when_it_is_asked_for(owned: Server, stoker: Command, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "xdg-open"
    program.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    for flags in ([], ["--open"]):
        assert not opened.exists()
        login = Login.begin(stoker, "--api-url", owned.url, *flags, PATH=path)
        if flags:
            eventually(opened.exists, "the browser is opened")
            assert opened.read_text().strip() == login.page
        os.killpg(login.process.pid, signal.SIGINT)
        login.end()


def test_variables_count_before_logins_and_flags_before_both(
    owned: Server, ada: Browser, company: Company, stoker: Command, tmp_path: Path
) -> None:
    folder = {"XDG_CONFIG_HOME": str(tmp_path / "configured")}
    stoker = Command(tmp_path, folder)
    log_in(stoker, ada, owned.url)
    assert (tmp_path / "configured" / "stoker" / "credentials.toml").exists()
    assert not credentials_file(tmp_path).exists()
    other = {"DEPOT_API_URL": company.server.url}
    assert OWNER in stoker.apart("whoami").stdout
    refused = stoker.apart("whoami", **other)
    assert f"no login at {company.server.url}" in refused.stderr, "a token goes to its own server only"
    theirs = stoker.apart("whoami", **other, DEPOT_TOKEN=company.viewer.token).stdout
    assert company.viewer.email in theirs
    assert "DEPOT_TOKEN" in theirs
    assert OWNER in stoker.apart("whoami", "--api-url", owned.url, **other).stdout
    assert stoker.apart("whoami", DEPOT_API_URL="", DEPOT_TOKEN="").code == 0, "empty ones count for nothing"


def test_a_login_that_waits_keeps_what_another_stored_meanwhile(
    owned: Server, ada: Browser, company: Company, stoker: Command, tmp_path: Path
) -> None:
    waiting = Login.begin(stoker, "--api-url", owned.url)
    write_credentials(credentials_file(tmp_path), Credentials().with_login(company.server.url, company.viewer.token))
    ada.submit(ada.get(waiting.page), decision="approve")
    output = waiting.end()
    assert waiting.process.returncode == 0, output
    kept = read_credentials(credentials_file(tmp_path))
    assert set(kept.tokens) == {owned.url, company.server.url}
    assert kept.current == owned.url


def test_a_build_takes_the_login(owned: Server, ada: Browser, stoker: Command, tmp_path: Path) -> None:
    log_in(stoker, ada, owned.url)
    context = make_context(tmp_path / "context", HEADER + run("echo built"))
    engine = {"STOKER_CACHE": str(owned.cache), "STOKER_ENGINE_FOLDER": str(owned.engine.buildctl.parent)}
    built = stoker("build", str(context), "--project", owned.project, **engine)
    assert built.code == 0, built.output


def test_an_address_that_can_not_be_one_is_refused(stoker: Command) -> None:
    addresses = ["stoker.example.com", "ftp://stoker.example.com", "http://", "http://stoker.example.com:port"]
    for address in (*addresses, "https://me:secret@stoker.example.com"):
        refused = stoker.apart("login", "--api-url", address)
        assert (refused.code, refused.stdout) == (1, "")
        assert refused.stderr.startswith("stoker: the API's address can't be taken from --api-url: ")
        assert "secret" not in refused.stderr


def test_a_login_ends_at_one_server_and_stays_at_the_others(tmp_path: Path) -> None:
    one, two, three = (f"https://{name}.example.com" for name in ("one", "two", "three"))
    both = Credentials().with_login(one, "first").with_login(two, "second")
    assert both.current == two
    assert both.without(two) == Credentials(one, {one: "first"})
    assert both.without(one) == Credentials(two, {two: "second"})
    assert both.with_login(three, "third").without(three).current is None, "nobody knows which of the two"
    assert "first" not in repr(both)
    file = tmp_path / "stoker" / "credentials.toml"
    assert read_credentials(file) == Credentials()
    write_credentials(file, both)
    assert read_credentials(file) == both


@pytest.mark.parametrize("content", ["servers = 1", "= ", '[servers."https://one.example.com"]\ntokens = 1'])
def test_a_damaged_file_of_logins_is_told(tmp_path: Path, content: str) -> None:
    file = tmp_path / "credentials.toml"
    file.write_text(content)
    with pytest.raises(CredentialsError, match="is damaged; remove it and log in again"):
        read_credentials(file)
