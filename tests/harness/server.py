"""A real server, run as a user runs it: the `stoker serve` command in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from stoker.engine import Engine
from stoker.settings.database import DatabaseSettings
from stoker.store.database import Database
from stoker.store.opening import open_database
from tests.harness import postgresql

START_SECONDS = 120
STOP_SECONDS = 120


@dataclass
class Answer:
    """What a JSON call returned."""

    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str | None:
        return self.body.get("code")

    @property
    def message(self) -> str:
        return self.body.get("message", "")


@dataclass
class Machine:
    """A machine, as the database has it."""

    id: str
    platform: str
    placement: dict[str, Any]

    @property
    def process_id(self) -> int:
        return int(self.placement["remembered"]["process_id"])

    @property
    def port(self) -> int:
        return self.placement["port"]


@dataclass
class Server:
    """One `stoker serve` on a data folder."""

    data: Path
    cache: Path
    engine: Engine
    flags: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    launcher: tuple[str, ...] = ()
    """A command that runs the server, such as one that takes capabilities from it."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> Path:
        return self.data.parent / f"{self.data.name}.env"

    @property
    def log(self) -> Path:
        return self.data.parent / f"{self.data.name}.log"

    @property
    def first(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.bootstrap.read_text().splitlines())

    @property
    def url(self) -> str:
        return self.first["DEPOT_API_URL"]

    def authority(self) -> str:
        """The certificate of the server's own authority, as `stoker ca` prints it."""
        command = [sys.executable, "-m", "stoker.cli.main", "ca", "--data", str(self.data)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    @cached_property
    def _tls(self) -> ssl.SSLContext | None:
        """What the server is checked against where it speaks TLS."""
        return ssl.create_default_context(cadata=self.authority()) if self.url.startswith("https:") else None

    @property
    def token(self) -> str:
        return self.first["DEPOT_TOKEN"]

    @property
    def project(self) -> str:
        return self.first["DEPOT_PROJECT_ID"]

    def start(self) -> Server:
        listen = self.url.removeprefix("http://") if self.bootstrap.exists() else "127.0.0.1:0"
        command = [*self.launcher, sys.executable, "-m", "stoker.cli.main", "serve", "--data", str(self.data)]
        command += ["--bootstrap", str(self.bootstrap), "--listen", listen, "--gateway", "127.0.0.1:0", *self.flags]
        environment = {**os.environ, "STOKER_CACHE": str(self.cache)}
        environment |= {f"STOKER_{name.upper()}": value for name, value in self.settings.items()}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while "ready;" not in self.output:
            assert self.process.poll() is None, f"the server ended: {self.output}{self._log_of_the_api()}"
            assert time.monotonic() < deadline, f"the server is not ready: {self.output}"
            time.sleep(0.02)
        return self

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def _log_of_the_api(self) -> str:
        """Its last lines, since a test's folders may be gone when somebody reads why it failed."""
        log = self.data / "logs" / "api.log"
        return "\n" + log.read_text(errors="replace")[-4000:] if log.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def part(self, name: str) -> int:
        """The process id of the API or the gateway."""
        return json.loads((self.data / "run" / f"{name}.json").read_text())["process_id"]

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(STOP_SECONDS)
        self.process = None

    def kill_everything(self) -> None:
        """SIGKILL of all of it at once, as a power cut would."""
        for process_id in (self.pid, self.part("api"), self.part("gateway"), *self.machine_processes()):
            try:
                os.kill(process_id, signal.SIGKILL)
            except ProcessLookupError:
                continue
        assert self.process is not None
        self.process.wait(10)
        self.process = None

    def placements(self) -> list[dict[str, Any]]:
        """Where the machines run, as the database has it."""
        return [json.loads(row[0]) for row in self.query("select placement from machines where placement is not null")]

    def machine_processes(self) -> list[int]:
        """The outermost process of each machine that runs."""
        return [int(placement["remembered"]["process_id"]) for placement in self.placements()]

    @property
    def database(self) -> DatabaseSettings:
        return DatabaseSettings(database=self.settings.get("database", ""))

    def open_database(self) -> Database:
        """The server's database, opened by a second process."""
        return open_database(self.database, self.data / "stoker.db")

    def stored(self) -> bytes:
        """All that the database holds."""
        if self.database.database:
            return postgresql.everything(self.database.database)
        return b"".join(path.read_bytes() for path in self.data.glob("stoker.db*"))

    def write(self, sql: str, *values: object) -> None:
        """Change something in the database."""
        if self.database.database:
            postgresql.query(self.database.database, sql, *values)
            return
        with closing(sqlite3.connect(self.data / "stoker.db", timeout=10)) as connection, connection:
            connection.execute(sql, values)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Look into the database."""
        if self.database.database:
            return postgresql.query(self.database.database, sql, *values)
        connection = sqlite3.connect(f"file:{self.data / 'stoker.db'}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def call(
        self,
        method: str,
        request: object = None,
        *,
        token: str | None = None,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Call a unary method with JSON, as curl would. ``token`` is the organization's unless given; "" for none."""
        body = raw if raw is not None else json.dumps(request or {}).encode()
        bearer = self.token if token is None else token
        all_headers = {"content-type": "application/json", **({"authorization": f"Bearer {bearer}"} if bearer else {})}
        call = urllib.request.Request(f"{self.url}/{method}", body, all_headers | (headers or {}))  # noqa: S310
        try:
            with urllib.request.urlopen(call, timeout=30, context=self._tls) as response:  # noqa: S310
                return Answer(response.status, json.loads(response.read() or b"{}"))
        except urllib.error.HTTPError as error:
            content = error.read()
            try:
                return Answer(error.code, json.loads(content or b"{}"))
            except ValueError:
                return Answer(error.code, {"message": content.decode(errors="replace")})

    def answers(self) -> bool:
        """Whether the API is there, and has a database."""
        try:
            return self.call("depot.core.v1.ProjectService/GetProject", {"projectId": self.project}).status == 200
        except OSError:
            return False

    def status(self, method: str, raw: bytes, headers: dict[str, str]) -> int:
        """The HTTP status of a call, whatever it returns."""
        bearer = {"authorization": f"Bearer {self.token}"}
        call = urllib.request.Request(f"{self.url}/{method}", raw, bearer | headers)  # noqa: S310
        with urllib.request.urlopen(call, timeout=10, context=self._tls) as response:  # noqa: S310
            return response.status

    def new_project(self, name: str = "another") -> str:
        created = self.call("depot.core.v1.ProjectService/CreateProject", {"name": name, "regionId": "us-east-1"})
        return created.body["project"]["projectId"]

    def new_build(self, project: str | None = None) -> tuple[str, str]:
        """A new build's id and token."""
        created = self.call("depot.build.v1.BuildService/CreateBuild", {"projectId": project or self.project})
        return created.body["buildId"], created.body["buildToken"]

    def builds(self, project: str | None = None) -> list[tuple[str, str, str | None]]:
        """(id, status, error) of all builds, or of a project's; the oldest first."""
        of_project, values = ("", ()) if project is None else ("where project_id = ?", (project,))
        sql = f"select id, status, error from builds {of_project} order by id"  # noqa: S608 - constants
        return self.query(sql, *values)

    def machines(self, project: str) -> list[Machine]:
        """A project's machines, one for each platform."""
        rows = self.query("select id, platform, placement from machines where project_id = ? order by id", project)
        return [Machine(row[0], row[1], json.loads(row[2] or "{}")) for row in rows]
