"""A disk that is full or read-only, a database that somebody else has locked, too few open files: said, and healed."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stoker.engine import Engine
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.server import Server
from tests.harness.waiting import eventually

CREATE_BUILD = "depot.build.v1.BuildService/CreateBuild"
CREATE_PROJECT = "depot.core.v1.ProjectService/CreateProject"
GET_PROJECT = "depot.core.v1.ProjectService/GetProject"
MEGABYTE = 1024**2
CONNECTIONS = 600


@dataclass
class Disk:
    """A small file system of a test's own."""

    image: Path
    folder: Path

    def fail(self) -> None:
        """Let the kernel find an error in it, upon which it becomes read-only."""
        source = subprocess.run(
            ["findmnt", "-no", "SOURCE", str(self.folder)], check=True, capture_output=True, text=True
        ).stdout.strip()
        Path("/sys/fs/ext4", Path(source).name, "trigger_fs_error").write_text("1")

    def mend(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)
        # The kernel lets go of the image a moment later, and writes what it has of it until then.
        eventually(lambda: not self._loops(), "the image is free")
        # 1: errors were corrected (e2fsck(8)).
        assert subprocess.run(["e2fsck", "-fy", str(self.image)], capture_output=True, check=False).returncode <= 1
        self.mount()

    def _loops(self) -> str:
        return subprocess.run(["losetup", "-j", str(self.image)], check=True, capture_output=True, text=True).stdout

    def mount(self) -> None:
        options = "loop,errors=remount-ro"
        subprocess.run(["mount", "-o", options, str(self.image), str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    image, folder = tmp_path / "disk.ext4", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(256 * MEGABYTE)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", str(image)], check=True)
    folder.mkdir()
    made = Disk(image, folder)
    made.mount()
    yield made
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def serve(cache: Path, engine: Engine) -> Iterator[Callable[..., Server]]:
    """Starts servers that are stopped before their disks go."""
    with ExitStack() as stack:

        def start(data: Path, *, launcher: tuple[str, ...] = (), **settings: str) -> Server:
            data.parent.mkdir(parents=True, exist_ok=True)
            server = Server(data, cache, engine, settings=settings, launcher=launcher)
            stack.callback(server.stop)
            return server.start()

        yield start


def new_project(server: Server) -> Any:
    return server.call(CREATE_PROJECT, {"name": "one more", "regionId": "us-east-1"})


def test_a_full_disk_is_told_and_heals(disk: Disk, serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(disk.folder / "data", volume_store="directory")
    filling = disk.folder / "filling"
    done = subprocess.run(["dd", "if=/dev/zero", f"of={filling}", "bs=64k"], capture_output=True, check=False)
    assert b"No space left" in done.stderr

    refused = server.call(CREATE_BUILD, {"projectId": server.project})
    assert refused.code == "resource_exhausted"
    assert "data folder has 0.0 GB free" in refused.message
    assert server.call(GET_PROJECT, {"projectId": server.project}).status == 200, "what only reads goes on"
    answers = [new_project(server) for _ in range(300)]
    assert {answer.code for answer in answers} <= {None, "resource_exhausted"}
    assert any(answer.code == "resource_exhausted" for answer in answers), "the database has no room any more"

    filling.unlink()
    eventually(lambda: new_project(server).status == 200, "it heals")
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert Depot(server, tmp_path).build(cwd=context).code == 0


def test_a_read_only_disk_is_told_and_heals(disk: Disk, serve: Callable[..., Server]) -> None:
    server = serve(disk.folder / "data", volume_store="directory")

    disk.fail()
    refused = server.call(CREATE_BUILD, {"projectId": server.project})
    assert refused.code in {"resource_exhausted", "unavailable"}
    assert "its operator has to look after" in refused.message
    unwritten = new_project(server)
    assert unwritten.code == "unavailable"
    assert "the server's disk" in unwritten.message

    server.stop()
    disk.mend()
    server.start()
    assert new_project(server).status == 200, "it is as it was, once the disk is"
    assert server.call(CREATE_BUILD, {"projectId": server.project}).status == 200


def test_a_volume_store_that_filled_its_disk_heals_at_the_next_start(
    disk: Disk, serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(disk.folder / "data", volume_image_bytes=str(512 * MEGABYTE))
    volumes = server.data / "volumes"
    writing = ["dd", "if=/dev/urandom", f"of={volumes / 'filling'}", "bs=1M", "count=300", "conv=fsync"]
    assert subprocess.run(writing, capture_output=True, check=False).returncode != 0
    subprocess.run(["sync", "-f", str(volumes)], check=False)
    eventually(lambda: os.statvfs(volumes).f_flag & os.ST_RDONLY, "btrfs gives up")
    assert shutil.disk_usage(disk.folder).free == 0
    assert server.call(CREATE_BUILD, {"projectId": server.project}).code == "resource_exhausted"

    server.stop()
    server.start()

    assert shutil.disk_usage(disk.folder).free > 100 * MEGABYTE
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert Depot(server, tmp_path).build(cwd=context).code == 0


def test_a_database_that_is_locked_is_told_and_heals(server: Server) -> None:
    with closing(sqlite3.connect(server.data / "stoker.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = new_project(server)
        assert (refused.status, refused.code) == (503, "unavailable")
        assert "the server's database is busy; try again" in refused.message
        assert server.call(GET_PROJECT, {"projectId": server.project}).status == 200, "what only reads goes on"
        other.execute("ROLLBACK")
    assert new_project(server).status == 200


def _is_refused(host: str, port: int) -> bool:
    """Whether a connection is refused, or closed as soon as it is there."""
    try:
        with socket.create_connection((host, port), timeout=30) as connection:
            return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_few_open_files_are_told_and_a_burst_of_connections_is_outlived(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(tmp_path / "s" / "data", launcher=("prlimit", "--nofile=256:256"))
    assert "open files: at most 256" in server.output
    host, _, port = server.url.removeprefix("http://").partition(":")
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            connection = socket.socket()
            stack.callback(connection.close)
            connection.settimeout(1)
            try:
                connection.connect((host, int(port)))
            except OSError:
                break
        assert _is_refused(host, int(port)), "a connection that is too many is refused, it doesn't wait for ever"
    eventually(server.answers, "it answers again", 60)
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert Depot(server, tmp_path).build(cwd=context).code == 0
