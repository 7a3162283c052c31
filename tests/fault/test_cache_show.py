"""What is in a cache can be told, and what a policy says of age is what BuildKit drops, and nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot, Result
from tests.harness.server import Server
from tests.harness.waiting import eventually

SHOW = "stoker.v1.CacheService/ShowCache"
UPDATE = "depot.core.v1.ProjectService/UpdateProject"
GIGABYTE = 1024**3
MEGABYTE = 1024**2
SIZE = 20 * MEGABYTE
DAY = 24 * 3600


@pytest.fixture
def owned(make_server: Callable[..., Server]) -> Server:
    return make_server(idle_seconds="1")


def build(server: Server, folder: Path, name: str, *, megabytes: int = 20) -> Result:
    written = run(f"dd if=/dev/urandom of=/{name} bs=1M count={megabytes}")
    path = folder / name
    context = path if path.exists() else make_context(path, HEADER + written)
    done = Depot(server, folder).build(cwd=context)
    assert done.code == 0, done.output
    return done


def cache(server: Server, *policies: dict[str, int]) -> dict[str, Any]:
    answer = server.call(SHOW, {"projectId": server.project, "policies": list(policies)})
    assert answer.status == 200, answer.body
    (one,) = answer.body["caches"]
    return one


def made_by(shown: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [record for record in shown["largest"] if f"of=/{name} " in record["description"]]


def stopped(server: Server) -> None:
    eventually(lambda: server.query("select state from machines") == [("stopped",)], "the idle machine stops")


def make_old(server: Server, name: str, days: int) -> None:
    """Write into BuildKit's own database that what one build made was last used so many days ago.

    Its times are written in decimal digits, and its pages have no checksums, so digits can be put in their place.
    """
    volume = server.query("select id from volumes where state = 'active'")[0][0]
    database = server.data / "volumes" / volume / "runc-overlayfs" / "metadata_v2.db"
    then = str(time.time_ns() - days * DAY * 1000**3).encode()
    pattern = rb'(of=/%s [^"]*"\}(?:(?!cache\.createdAt).)*?cache\.lastUsedAt\{"value":)\d{19}' % name.encode()
    content, count = re.subn(pattern, rb"\g<1>" + then, database.read_bytes(), flags=re.DOTALL)
    assert count > 0, "BuildKit keeps its times in another way"
    database.write_bytes(content)


def test_the_contents_of_a_cache_are_told_while_it_is_used_and_when_its_machine_has_stopped(
    owned: Server, tmp_path: Path
) -> None:
    build(owned, tmp_path, "one")
    now = cache(owned)
    assert now["platform"] == "linux/amd64"
    assert int(now["totalBytes"]) >= SIZE
    assert made_by(now, "one")[0]["bytes"] == str(SIZE)

    stopped(owned)
    later = cache(owned)
    assert made_by(later, "one")[0]["bytes"] == str(SIZE)
    assert {share["kind"] for share in later["kinds"]} == {"regular", "source.local"}
    assert sum(int(share["bytes"]) for share in later["kinds"]) == int(later["totalBytes"])
    assert owned.query("select state from machines") == [("stopped",)], "to be asked wakes nothing up"
    half = cache(owned, {"keepBytes": SIZE // 2})
    assert [outlook.get("isCurrent", False) for outlook in half["outlooks"]] == [True, False]
    assert int(half["outlooks"][1]["bySizeBytes"]) >= SIZE
    assert "bySizeBytes" not in half["outlooks"][0]


def test_a_person_reads_tables(owned: Server, tmp_path: Path) -> None:
    stoker = Command(tmp_path, {"DEPOT_API_URL": owned.url, "DEPOT_TOKEN": owned.token})
    assert "no cache yet" in stoker.apart("cache", "show", owned.project).stderr
    build(owned, tmp_path, "shown")

    printed = stoker.apart("cache", "show", owned.project).stdout
    assert printed.startswith("linux/amd64: ")
    assert re.search(r"20\.0 MB +regular .*dd if=/dev/urandom of=/shown", printed)
    assert re.search(r"50 GB, 14 days \(now\) +0\.0 MB +0\.0 MB", printed)
    asked = stoker.apart("cache", "show", owned.project, "--keep-gb", "1", "--keep-days", "2").stdout
    assert re.search(r"1 GB, 2 days +0\.0 MB", asked)
    assert stoker.apart("cache", "show", owned.project, "--json").json["caches"][0]["platform"] == "linux/amd64"


def test_keep_days_drops_what_is_old_and_nothing_else(owned: Server, tmp_path: Path) -> None:
    policy = {"keepBytes": 10 * GIGABYTE, "keepDays": 3}
    assert owned.call(UPDATE, {"projectId": owned.project, "cachePolicy": policy}).status == 200
    for name in ("old", "young", "fresh"):
        build(owned, tmp_path, name)
    stopped(owned)
    make_old(owned, "old", days=4)
    make_old(owned, "young", days=2)

    # BuildKit drops a second after its start; an idle machine would stop before.
    deadline = time.monotonic() + 60
    while made_by(cache(owned), "old"):
        assert time.monotonic() < deadline, "what is old is still there"
        assert Depot(owned, tmp_path).build(cwd=tmp_path / "fresh").code == 0

    left = cache(owned)
    assert made_by(left, "young"), "two days are less than three"
    assert made_by(left, "fresh")
    assert build(owned, tmp_path, "young").output.count(" CACHED\n") == 2
    assert build(owned, tmp_path, "old").output.count(" CACHED\n") < 2


@pytest.mark.parametrize(
    "policies",
    [[{"keepBytes": -1}], [{"keepDays": -1}], [{"keepBytes": 1}] * 21],
    ids=["negative bytes", "negative days", "too many"],
)
def test_policies_that_can_not_be_are_refused(server: Server, policies: list[dict[str, int]]) -> None:
    answer = server.call(SHOW, {"projectId": server.project, "policies": policies})
    assert answer.code == "invalid_argument"
