"""What commands that are typed all day may not import, because it takes longer than their own work."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stoker.cli.main import _COMMANDS as COMMANDS
from tests.cli.conftest import Company
from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.environment import plain_environment

IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| +([\w.]+)$", re.MULTILINE)
# Of no command that calls the API.
SERVER = (
    "pydantic",
    "sqlalchemy",
    "alembic",
    "starlette",
    "uvicorn",
    "jinja2",
    "cryptography",
    "authlib",
    "joserfc",
    "argon2",
    "httpx2",
    "opentelemetry.sdk",
    "prometheus_client",
    "stoker.settings.effective",
    "stoker.store",
    "stoker.services",
    "stoker.serve",
    "stoker.web",
    "stoker.rpc",
    "stoker.runtimes",
    "stoker.fleet",
)
# Of `stoker build`, besides.
NOT_OF_A_BUILD = (
    "rich",
    "tomli_w",
    "tomllib",
    "stoker.engine",
    "stoker.cli.remote",
    "stoker.cli.output",
    "stoker._gen.depot.build",
    "stoker._gen.depot.core",
    "stoker._gen.stoker",
)


def imported(*arguments: str, cwd: Path, **environment: str) -> tuple[int, set[str]]:
    """The exit code of a command, and the names of all modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stoker.cli.main", *arguments],
        cwd=cwd,
        env={**plain_environment(), "HOME": str(cwd), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, set(IMPORTED.findall(done.stderr))


def among(names: set[str], unwanted: tuple[str, ...]) -> set[str]:
    return {name for name in names if any(name == one or name.startswith(f"{one}.") for one in unwanted)}


@pytest.fixture
def environment(company: Company) -> dict[str, str]:
    engine = str(company.server.engine.buildctl.parent)
    return {"DEPOT_API_URL": company.server.url, "DEPOT_TOKEN": company.owner.token, "STOKER_ENGINE_FOLDER": engine}


def test_a_build_imports_neither_settings_nor_tables(
    company: Company, environment: dict[str, str], tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo built"))
    project = company.project("fast")
    code, names = imported("build", str(context), "--project", project, cwd=tmp_path, **environment)
    assert code == 0
    assert "stoker.client.run" in names, "it would see them"
    assert among(names, SERVER + NOT_OF_A_BUILD) == set()


@pytest.mark.parametrize("arguments", [["projects", "list"], ["builds", "list", "--project", "{}"], ["whoami"]])
def test_a_call_of_the_api_imports_nothing_of_a_server(
    company: Company, environment: dict[str, str], tmp_path: Path, arguments: list[str]
) -> None:
    filled = [one.format(company.project("listed")) for one in arguments]
    code, names = imported(*filled, cwd=tmp_path, **environment)
    assert code == 0
    assert among(names, SERVER) == set()
    code, names = imported(*filled, "--json", cwd=tmp_path, **environment)
    assert code == 0
    assert among(names, (*SERVER, "rich")) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["build", "--help"], ["nonsense"]])
def test_help_imports_no_other_command(tmp_path: Path, arguments: list[str]) -> None:
    _, names = imported(*arguments, cwd=tmp_path)
    assert among(names, (*SERVER, "rich")) == set()
    commands = {name for name in names if name in {f"stoker.cli.{entry.module}" for entry in COMMANDS.values()}}
    assert commands <= {"stoker.cli.build"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_ones_help_says(name: str) -> None:
    entry = COMMANDS[name]
    command = importlib.import_module(f"stoker.cli.{entry.module}").command
    assert command.get_short_help_str(1000).rstrip(".") == entry.summary.rstrip(".")
    assert command.name == name


def test_help_is_in_groups_with_defaults(tmp_path: Path) -> None:
    stoker = Command(tmp_path)
    lines = stoker.apart("--help").lines
    assert [line for line in lines if line.endswith(":") and not line.startswith(" ")] == [
        "Options:",
        "Build:",
        "Log in:",
        "Manage:",
        "Run a server, on its host:",
    ]
    assert not any(line.endswith("...") for line in lines[1:])
    serve = stoker.apart("serve", "--help").stdout
    assert "--listen HOST:PORT" in serve
    assert "127.0.0.1:8080" in serve
    assert "--tls-key PATH" in serve


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["project"], "Did you mean 'projects'?"),
        (["logs"], "Did you mean 'stoker builds logs'?"),
        (["cancel", "x"], "Did you mean 'stoker builds cancel'?"),
        (["version"], "Did you mean 'stoker --version'?"),
        (["builds", "cancle"], "Did you mean 'cancel'?"),
        (["build", "--cache-form", "x"], "--cache-from"),
    ],
)
def test_a_mistyped_command_is_answered_with_the_right_one(tmp_path: Path, typed: list[str], says: str) -> None:
    refused = Command(tmp_path).apart(*typed)
    assert (refused.code, refused.stdout) == (2, "")
    assert says in refused.stderr
