"""`stoker backup` of a busy server, and `stoker restore` into another folder, which serves as the first one does."""

from __future__ import annotations

import re
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.leftovers import leftovers
from tests.harness.server import Server
from tests.harness.waiting import eventually
from tests.harness.waiting_step import WAIT, end_waiting_steps

FINISH = "depot.build.v1.BuildService/FinishBuild"


@pytest.fixture
def own(make_server: Callable[..., Server]) -> Server:
    return make_server()


@pytest.fixture
def stoker(tmp_path: Path) -> Command:
    return Command(tmp_path)


@contextmanager
def builds_going(server: Server) -> Iterator[list[str]]:
    """Several clients begin builds and end them, one after the other; the ids of those that ended."""
    over, ended = threading.Event(), list[str]()

    def build() -> None:
        while not over.is_set():
            build_id, _ = server.new_build()
            if server.call(FINISH, {"buildId": build_id, "success": {}}).status == 200:
                ended.append(build_id)
            over.wait(0.01)

    clients = [threading.Thread(target=build) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        yield ended
    finally:
        over.set()
        for client in clients:
            client.join(60)


def restored_server(original: Server, folder: Path) -> Server:
    """A server on a restored folder, with the tokens of the original, at another address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    server = Server(folder, original.cache, original.engine)
    server.bootstrap.write_text(original.bootstrap.read_text().replace(original.url, address))
    return server


def test_a_backup_taken_under_load_serves_elsewhere_with_the_same_tokens(
    own: Server, stoker: Command, tmp_path: Path
) -> None:
    depot = Depot(own, tmp_path)
    hello = make_context(tmp_path / "hello", HEADER + run("echo hello"))
    assert depot.build(cwd=hello).code == 0
    slow = make_context(tmp_path / "slow", HEADER + run(f"echo begun; {WAIT}"))
    building = depot.begin(cwd=slow, until=" begun")
    (running,) = (build for build, status, _ in own.builds() if status == "running")
    file, folder = tmp_path / "stoker.backup", tmp_path / "elsewhere" / "data"

    with builds_going(own) as ended:
        eventually(lambda: len(ended) > 20, "builds are going")
        before = set(ended)
        written = stoker("backup", str(file), "--data", str(own.data))
        count = len(ended)
        eventually(lambda: len(ended) > count, "builds go on")
    restored = stoker("restore", str(file), "--data", str(folder))

    assert written.code == 0, written.output
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".stoker.backup")] == []
    assert restored.code == 0, restored.output
    assert re.search(r"marked \d+ running builds? as failed", restored.output)
    with closing(sqlite3.connect(folder / "stoker.db")) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    other = restored_server(own, folder)
    other.start()
    try:
        assert other.call("depot.core.v1.ProjectService/GetProject", {"projectId": own.project}).status == 200
        assert other.authority() == own.authority()
        builds = {build: (status, error) for build, status, error in other.builds()}
        assert {builds[build] for build in before} == {("succeeded", None)}
        status, error = builds[running]
        assert status == "failed"
        assert "restored from a backup" in (error or "")
        # Both are on one host, and neither touches what is the other's.
        built = Depot(other, tmp_path).build(cwd=hello)
        assert (built.code, built.cached) == (0, 0), built.output
        machines = set(own.machine_processes())
        assert machines.isdisjoint(other.machine_processes())
        again = stoker("restore", str(file), "--data", str(folder))
        assert (again.code, "another server" in again.output) == (1, True), again.output
    finally:
        other.stop()
    assert leftovers(other) == []

    end_waiting_steps(own)
    output, _ = building.communicate(timeout=60)
    assert building.returncode == 0, output
    assert set(own.machine_processes()) == machines


def test_what_is_refused_says_why(stoker: Command, tmp_path: Path) -> None:
    nowhere = stoker("backup", "file", "--data", str(tmp_path / "nowhere"))
    assert (nowhere.code, "there is no database" in nowhere.output) == (1, True), nowhere.output
    (tmp_path / "text").write_text("not a backup")
    text = stoker("restore", "text", "--data", str(tmp_path / "new"))
    assert (text.code, "text can't be restored: it is no backup of stoker" in text.output) == (1, True), text.output
    absent = stoker("restore", "absent", "--data", str(tmp_path / "new"))
    assert (absent.code, "No such file" in absent.output) == (1, True), absent.output
    assert not (tmp_path / "new").exists()
