"""What people type wrong, in a terminal: each answer says what is wrong and what to do, and nothing else."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Company
from tests.harness.command import Command

UNKNOWN = "0000000000000000"
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def answer(stoker: Command, *arguments: str, **environment: str) -> tuple[int, list[str]]:
    """The exit code of a command in a terminal, and the lines that it wrote."""
    terminal = stoker.terminal(*arguments, columns=300, **environment)
    code = terminal.ends()
    return code, CONTROLS.sub("", terminal.written).replace("\r", "").splitlines()


@pytest.mark.parametrize(
    ("arguments", "says", "advice"),
    [
        (["projects", "show", "hello"], 'no project is called "hello"', "`stoker projects list`"),
        (["projects", "delete", "hello", "--yes"], 'no project is called "hello"', "`stoker projects list`"),
        (["cache", "show", "hello"], 'no project is called "hello"', "`stoker projects list`"),
        (["machines", "--project", "hello"], 'no project is called "hello"', "`stoker projects list`"),
        (["usage", "--project", "hello"], 'no project is called "hello"', "`stoker projects list`"),
        (["tokens", "list", "--project", "hello"], 'no project is called "hello"', "`stoker projects list`"),
        (["policies", "list", "--project", "hello"], 'no project is called "hello"', "`stoker projects list`"),
        (["projects", "list", "--organization", "hello"], "no organization is called", "`stoker organizations list`"),
        (["builds", "list"], "no project is named", "--project"),
        (["webhooks", "list"], "no project is named", "DEPOT_PROJECT_ID"),
        (["builds", "show", UNKNOWN], "was not found", "check the id"),
        (["builds", "logs", UNKNOWN, "--follow"], "was not found", "check the id"),
        (["builds", "watch", UNKNOWN], "was not found", "check the id"),
        (["builds", "cancel", UNKNOWN], "was not found", "check the id"),
        (["builds", "open", UNKNOWN], "was not found", "check the id"),
        (["builds", "share", UNKNOWN], "was not found", "check the id"),
        (["members", "remove", "nobody@example.com"], "nobody@example.com", "`stoker members list`"),
        (["login", "--api-url", "stoker.example.com"], "is not an address", "such as https://"),
    ],
)
def test_a_mistake_is_answered_in_a_line_and_what_to_do(
    stoker: Command, arguments: list[str], says: str, advice: str
) -> None:
    code, lines = answer(stoker, *arguments)
    assert code == 1
    assert 1 <= len(lines) <= 2, lines
    assert lines[0].startswith("stoker: ")
    assert says in lines[0]
    assert advice in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["project", "list"], "Did you mean 'projects'?"),
        (["projects", "create"], "Missing argument 'NAME'"),
        (["projects", "create", "x", "--hardware", "1x1"], "'1x1' is not one of"),
        (["tokens", "create", "x", "--expires", "soon"], "soon is not a lifetime, such as 12h, 90d or 52w"),
        (["builds", "list", "--status", "success"], "'success' is not one of 'running', 'succeeded'"),
        (["builds", "logs", UNKNOWN, "--step", "0"], "0 is not in the range x>=1"),
        (["build", "--cache-form", "x"], "'--cache-from'"),
    ],
)
def test_a_command_line_that_can_not_be_read_is_answered_with_its_usage(
    stoker: Command, arguments: list[str], says: str
) -> None:
    code, lines = answer(stoker, *arguments)
    assert code == 2
    assert lines[0].startswith("Usage: stoker ")
    assert says in lines[-1]


def test_a_name_that_two_projects_have_is_answered_with_their_ids(company: Company, stoker: Command) -> None:
    ids = [company.project("twins") for _ in range(2)]
    code, lines = answer(stoker, "projects", "show", "twins")
    assert code == 1
    assert lines[0].startswith('stoker: 2 projects are called "twins": ')
    assert all(one in lines[0] for one in ids)
    assert lines[1].strip() == "use the id of the one that you mean"


def test_names_work_where_ids_do(company: Company, stoker: Command) -> None:
    project = company.project("the only one")
    shown = stoker.apart("projects", "show", "the only one")
    assert project in shown.stdout
    assert stoker.apart("builds", "list", "--project", "the only one").code == 0
    assert stoker.apart("builds", "list", DEPOT_PROJECT_ID="the only one").code == 0
    assert stoker.apart("tokens", "list", "--project", "the only one").code == 0
    organization = stoker.apart("projects", "list", "--organization", "customers")
    assert organization.code in {0, 1}, "several tests may have made one"


def test_a_folder_names_its_project(company: Company, stoker: Command, tmp_path: Path) -> None:
    (tmp_path / "depot.json").write_text(f'{{"id": "{company.project("of the folder")}"}}')
    listed = stoker.apart("builds", "list", cwd=tmp_path)
    assert (listed.code, listed.stderr) == (0, "nothing was built in this project yet\n")


def test_an_api_that_is_away_is_answered_in_two_lines(stoker: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nowhere = f"http://127.0.0.1:{listener.getsockname()[1]}"
    code, lines = answer(stoker, "builds", "list", "--project", UNKNOWN, DEPOT_API_URL=nowhere)
    assert code == 1
    assert lines == [
        f"stoker: can't reach the API at {nowhere}; is the server running?",
        "        the address is from --api-url, else DEPOT_API_URL, else from your last login",
    ]


def test_what_is_wrong_with_settings_is_told_at_once(tmp_path: Path) -> None:
    wrong = {"STOKER_PUBLIC_URL": "build.example.com", "STOKER_DRAIN_SECONDS": "-5", "STOKER_IDEL_SECONDS": "5"}
    for command in ("serve", "doctor", "config"):
        code, lines = answer(Command(tmp_path), command, **wrong)
        assert code == 1
        assert lines[0].startswith("stoker: ")
        text = "\n".join(lines)
        assert '"build.example.com" is not a URL' in text
        assert "drain_seconds (from STOKER_DRAIN_SECONDS): it must be at least 0" in text
        assert lines[-1].strip().startswith("nothing was started")
    warned = Command(tmp_path).apart("config", STOKER_IDEL_SECONDS="5")
    assert warned.stderr == "stoker: STOKER_IDEL_SECONDS is no setting; did you mean STOKER_IDLE_SECONDS?\n"


@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_tls_files_that_are_not_there_are_told_before_anything_starts(tmp_path: Path, command: str) -> None:
    files = ["--tls-certificate", str(tmp_path / "none.pem"), "--tls-key", str(tmp_path / "none.key")]
    refused = Command(tmp_path).apart(command, "--data", str(tmp_path / "data"), *files)
    assert refused.code == 1
    assert f"{tmp_path / 'none.pem'} can't be read" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "data").exists()
