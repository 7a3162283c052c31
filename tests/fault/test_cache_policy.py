"""A cache never grows over its cap, whatever builds write, and builds succeed nevertheless."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.server import Server
from tests.harness.waiting import eventually

UPDATE = "depot.core.v1.ProjectService/UpdateProject"
MEGABYTE = 1000**2
# 17 makes a policy of 1 GB, and builds that write 5 GB.
SCALE = int(os.environ.get("STOKER_CACHE_SCALE", "1"))
KEEP = 60 * MEGABYTE * SCALE
HEADROOM = 80 * 1024**2 * SCALE
WRITTEN_AT_ONCE = 50 * SCALE


@pytest.fixture
def tight(make_server: Callable[..., Server]) -> Server:
    return make_server(
        min_keep_bytes=str(MEGABYTE), volume_headroom_bytes=str(HEADROOM), housekeeping_seconds="0", idle_seconds="300"
    )


def used(server: Server, *, now: bool = False) -> int:
    """What the one volume refers to, as the file system counts it."""
    if now:
        subprocess.run(["btrfs", "filesystem", "sync", str(server.data / "volumes")], check=True)
    volume = server.data / "volumes" / server.query("select id from volumes where state = 'active'")[0][0]
    command = ["btrfs", "qgroup", "show", "--raw", "-f", str(volume)]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(re.findall(r"^0/\d+ +(\d+)", shown, re.MULTILINE)[0])


def writing(folder: Path, name: str, megabytes: int = WRITTEN_AT_ONCE) -> Path:
    return make_context(folder / name, HEADER + run(f"dd if=/dev/urandom of=/{name} bs=1M count={megabytes}"))


def set_policy(server: Server, keep_bytes: int) -> None:
    policy = {"keepBytes": keep_bytes, "keepDays": 14}
    answer = server.call(UPDATE, {"projectId": server.project, "cachePolicy": policy})
    assert answer.status == 200, answer.body


@pytest.mark.timeout(300 * SCALE)
def test_builds_that_write_five_times_the_policy_succeed_and_the_cap_holds(tight: Server, tmp_path: Path) -> None:
    set_policy(tight, KEEP)
    depot = Depot(tight, tmp_path)
    for number in range(6):
        built = depot.build(cwd=writing(tmp_path, f"number-{number}"))
        assert built.code == 0, built.output
        assert used(tight) <= KEEP + HEADROOM
    eventually(lambda: used(tight, now=True) <= KEEP, "the cache is within its policy", 20 * SCALE)
    assert tight.query("select state, run from machines") == [("ready", 1)], "no build was broken for it"


@pytest.mark.timeout(300 * SCALE)
def test_a_smaller_policy_counts_before_the_next_build_and_takes_the_cap_down(tight: Server, tmp_path: Path) -> None:
    set_policy(tight, 4 * KEEP)
    depot = Depot(tight, tmp_path)
    for number in range(3):
        assert depot.build(cwd=writing(tmp_path, f"number-{number}")).code == 0
    assert used(tight, now=True) > 2 * KEEP

    set_policy(tight, KEEP)
    eventually(lambda: tight.query("select state from machines") == [("stopped",)], "the idle machine stops")
    small = make_context(tmp_path / "small", HEADER + run("echo hello"))
    assert depot.build(cwd=small).code == 0
    # What this build wrote comes on top, and BuildKit's databases.
    assert used(tight, now=True) <= KEEP + 10 * MEGABYTE * SCALE
    too_much = depot.build(cwd=writing(tmp_path, "too-much", 4 * WRITTEN_AT_ONCE))
    assert too_much.code != 0
    assert "Disk quota exceeded" in too_much.output
    assert used(tight, now=True) <= KEEP + HEADROOM
    again = make_context(tmp_path / "again", HEADER + run("echo again"))
    eventually(lambda: depot.build(cwd=again).code == 0, "what was too much is dropped, and builds go on")
