"""A server whose PostgreSQL is elsewhere: over TLS, with a password that nobody gets to see."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from stoker.pki.authority import open_authority
from stoker.system import SystemClock
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.postgresql import Postgresql, started_when_needed, with_tls
from tests.harness.records import recorded, when_recorded
from tests.harness.server import Server
from tests.harness.waiting import eventually
from tests.harness.waiting_step import WAIT, end_waiting_steps

PASSWORD = "correct-horse"
GET_PROJECT = "depot.core.v1.ProjectService/GetProject"
COUNT = "for n in $(seq 1 40); do echo line $n; sleep 0.1; done"
SAID = [f"line {n}" for n in range(1, 41)]


@dataclass
class Remote:
    """A PostgreSQL over TLS, and a server that uses it."""

    postgresql: Postgresql
    server: Server
    url: str


@pytest.fixture(scope="module")
def remote(make_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    folder = tmp_path_factory.mktemp("tls")
    authority = open_authority(folder, "databases", SystemClock())
    pair = authority.issue_server(("127.0.0.1",), timedelta(days=1))
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    with started_when_needed() as start:
        postgresql = start()
        name = postgresql.new_database().partition("?")[0].rpartition("/")[2]
        with_tls(postgresql, port, pair.certificate, pair.private_key, PASSWORD)
        postgresql.stop()
        postgresql.start()
        tls = f"sslmode=verify-full&sslrootcert={folder / 'databases.pem'}"
        url = f"postgresql://stoker:{PASSWORD}@127.0.0.1:{port}/{name}?{tls}"
        yield Remote(postgresql, make_server(database=url), url)


def test_calls_are_answered(remote: Remote) -> None:
    assert remote.server.call(GET_PROJECT, {"projectId": remote.server.project}).status == 200
    assert not (remote.server.data / "stoker.db").exists()


def test_the_password_is_nowhere_to_be_seen(remote: Remote) -> None:
    data = remote.server.data
    logged = remote.server.output + "".join(path.read_text() for path in (data / "logs").rglob("*.log"))
    assert PASSWORD not in logged
    commands = b"".join(path.read_bytes() for path in _command_lines())
    assert PASSWORD.encode() not in commands
    for path in (one for one in (data / "run").iterdir() if one.is_file() and PASSWORD.encode() in one.read_bytes()):
        assert path.stat().st_mode & 0o077 == 0, f"{path} is for the server alone"


def _command_lines() -> Iterator[Path]:
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and (process / "cmdline").exists():
            yield process / "cmdline"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_the_settings_show_no_password(remote: Remote, form: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "stoker.cli.main", "config", "--data", str(remote.server.data), *form]
    environment = {**os.environ, "STOKER_DATABASE": remote.url}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert PASSWORD not in shown
    assert "stoker:***@127.0.0.1" in shown
    if form:
        assert json.loads(shown)["database"]["source"] == "STOKER_DATABASE"


def test_a_second_server_is_refused(remote: Remote, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stoker.cli.main", "serve", "--data", str(tmp_path / "second")]
    command += ["--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0"]
    environment = {**os.environ, "STOKER_DATABASE": remote.url, "STOKER_CACHE": str(remote.server.cache)}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert refused.returncode != 0
    assert "another stoker server runs on this database; stop it first" in refused.stdout + refused.stderr


def test_a_restart_of_the_database_is_survived(remote: Remote) -> None:
    remote.postgresql.stop()
    remote.postgresql.start()
    assert remote.server.call(GET_PROJECT, {"projectId": remote.server.project}).status == 200


def test_a_database_that_is_away_is_unavailable_until_it_is_back(remote: Remote) -> None:
    remote.postgresql.stop()
    answer = remote.server.call(GET_PROJECT, {"projectId": remote.server.project})
    assert (answer.code, answer.message) == ("unavailable", "the server's database can't be reached; try again")
    remote.postgresql.start()
    assert remote.server.call(GET_PROJECT, {"projectId": remote.server.project}).status == 200


def test_a_build_and_its_record_outlive_an_outage_of_the_database(remote: Remote, tmp_path: Path) -> None:
    server = remote.server
    context = make_context(tmp_path / "context", HEADER + run(COUNT) + run(WAIT) + run("echo after"))
    building = Depot(server, tmp_path).begin(cwd=context, until=" line 5")
    build = server.builds()[-1][0]
    eventually(lambda: server.query("select 1 from log_chunks"), "some of the log is stored")
    remote.postgresql.stop()
    for _ in range(2):
        assert server.call(GET_PROJECT, {"projectId": server.project}).code == "unavailable"
    remote.postgresql.start()
    end_waiting_steps(server)
    building.communicate(timeout=120)
    assert building.returncode == 0
    when_recorded(server, build)
    logs = [step.log for step in recorded(server, build).values() if step.log]
    assert logs == [SAID, ["after"]], "nothing is missing, and nothing is there twice"
