"""Caches that are damaged, and disks that are full: said plainly, healed, and nobody else's business."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.leftovers import leftovers
from tests.harness.server import Server
from tests.harness.waiting import eventually

CACHED_STEPS = 2
CREATE_BUILD = "depot.build.v1.BuildService/CreateBuild"


def volume_of(server: Server) -> Path:
    return server.data / "volumes" / server.query("select id from volumes where state = 'active'")[0][0]


def damage(volume: Path) -> None:
    (database,) = volume.rglob("containerdmeta.db")
    database.write_bytes(os.urandom(32768))


def stopped(server: Server) -> bool:
    return server.query("select state from machines") == [("stopped",)]


def test_a_damaged_cache_is_replaced_by_its_last_good_snapshot_and_then_by_an_empty_one(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server(idle_seconds="0")
    depot = Depot(server, tmp_path)
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert depot.build(cwd=context).code == 0
    eventually(lambda: stopped(server), "the machine stops, and its volume is saved")
    api_log = server.data / "logs" / "api.log"

    damage(volume_of(server))
    restored = depot.build(cwd=context)
    assert (restored.code, restored.cached) == (0, CACHED_STEPS), restored.output
    (problem,) = server.query("select error from volumes")[0]
    assert "was damaged" in problem
    assert "its last good snapshot is used instead" in problem
    assert problem in api_log.read_text()

    eventually(lambda: stopped(server), "the machine stops")
    damage(volume_of(server))
    damage(server.data / "volumes" / ".last-good" / volume_of(server).name)
    empty = depot.build(cwd=context)
    assert (empty.code, empty.cached) == (0, 0), empty.output
    assert "an empty one is used instead" in server.query("select error from volumes")[0][0]
    server.stop()
    assert leftovers(server) == []


def test_a_cache_database_that_buildkit_would_begin_anew_comes_from_the_last_good_snapshot(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server(idle_seconds="0")
    depot = Depot(server, tmp_path)
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert depot.build(cwd=context).code == 0
    eventually(lambda: stopped(server), "the machine stops, and its volume is saved")

    (volume_of(server) / "cache.db").write_bytes(os.urandom(32768))
    restored = depot.build(cwd=context)

    assert (restored.code, restored.cached) == (0, CACHED_STEPS), restored.output
    (problem,) = server.query("select error from volumes")[0]
    assert "resetting to empty" in problem
    assert "its last good snapshot is used instead" in problem


def test_no_build_is_taken_while_a_disk_is_full_and_it_heals(make_server: Callable[..., Server]) -> None:
    server = make_server(volume_image_bytes=str(512 * 1024**2), min_free_percent="50")
    filling = server.data / "volumes" / "filling"
    running, token = server.new_build()

    with filling.open("wb") as file:
        file.write(bytes(300 * 1024**2))
        os.fsync(file.fileno())
    refused = server.call(CREATE_BUILD, {"projectId": server.project})
    assert (refused.status, refused.code) == (429, "resource_exhausted")
    assert "volume store has 0.2 GB free" in refused.message
    endpoint = {"buildId": running, "platform": "BUILDER_PLATFORM_AMD64"}
    assert server.call("depot.cli.v1.BuildService/GetBuildKitConnection", endpoint, token=token).code == refused.code

    filling.unlink()
    # Else the file system gives the space back with its next commit, half a minute later.
    subprocess.run(["btrfs", "filesystem", "sync", str(filling.parent)], check=True)
    eventually(lambda: server.call(CREATE_BUILD, {"projectId": server.project}).status == 200, "it heals")


def test_a_volume_store_is_taken_over_after_a_power_cut(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server()
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert Depot(server, tmp_path).build(cwd=context).code == 0
    server.kill_everything()
    assert any(line.startswith("loop device") for line in leftovers(server)), "the look would see one"
    server.start()
    assert sum(line.startswith("loop device") for line in leftovers(server)) == 1
    again = Depot(server, tmp_path).build(cwd=context)
    assert again.code == 0, again.output
    server.stop()
    assert leftovers(server) == []
