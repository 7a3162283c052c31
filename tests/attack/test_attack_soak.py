"""All attacks in random order against one server that honest builds use meanwhile: `make soak` does it for an hour.

STOKER_ATTACK_SOAK_MINUTES is how long, STOKER_ATTACK_SOAK_BUILDS how many build at once, STOKER_ATTACK_SEED the order.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.attack.attacks import ALL
from tests.attack.framework.attack import Attack
from tests.attack.framework.memory import forget_peak, peak_bytes
from tests.attack.framework.neighbour import HEALTH_PAUSE, Neighbour, Noticed
from tests.attack.framework.nowhere import nowhere
from tests.attack.framework.process import attack_process
from tests.attack.framework.settings import SERVER
from tests.attack.framework.table import MEGABYTE
from tests.attack.framework.world import World
from tests.harness.leftovers import connections_to, leftovers, unknown_volumes
from tests.harness.server import Server
from tests.harness.waiting import eventually

MINUTES = float(os.environ.get("STOKER_ATTACK_SOAK_MINUTES", "0.1"))
BUILDERS = int(os.environ.get("STOKER_ATTACK_SOAK_BUILDS", "2"))
SEED = int(os.environ.get("STOKER_ATTACK_SEED", "1"))
ATTACK_SECONDS = (2.0, 3.0) if MINUTES < 5 else (15.0, 60.0)
PAUSE_SECONDS = (0.0, 1.0) if MINUTES < 5 else (5.0, 25.0)
"""Between two builds of one neighbour: twenty that build without a pause need more processors than attacks leave."""

MOST_MEMORY = 1024 * MEGABYTE
PARTS = ("api", "gateway")


@contextmanager
def building(neighbours: list[Neighbour]) -> Iterator[Noticed]:
    """All neighbours build now and then, every third time with a step that is new, and a load balancer asks."""
    noticed, stopped = Noticed(), threading.Event()

    def build(number: int, neighbour: Neighbour) -> None:
        chance = random.Random(f"{SEED} {number}")  # noqa: S311
        built = 0
        while not stopped.wait(chance.uniform(*PAUSE_SECONDS)):
            built += 1
            if built % 3 == 0:
                neighbour.change(f"{number} {built}")
            neighbour.build(noticed)

    def check() -> None:
        while not stopped.wait(HEALTH_PAUSE):
            neighbours[0].check_health(noticed)

    threads = [threading.Thread(target=build, args=one) for one in enumerate(neighbours)]
    threads.append(threading.Thread(target=check))
    for thread in threads:
        thread.start()
    try:
        yield noticed
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def attacks_until(deadline: float) -> Iterator[tuple[Attack, float, int]]:
    """Attacks in random order, each with its time and the seed of its own random numbers."""
    chance = random.Random(SEED)  # noqa: S311
    while True:
        for attack in chance.sample(ALL, len(ALL)):
            seconds = min(chance.uniform(*ATTACK_SECONDS), deadline - time.monotonic())
            if seconds < ATTACK_SECONDS[0] / 2:
                return
            yield attack, seconds, chance.randrange(1_000_000)


@pytest.fixture
def attacked(make_server: Callable[..., Server]) -> Server:
    return make_server(**SERVER, idle_seconds="60")


@pytest.mark.timeout(300 + 120 * MINUTES)
def test_honest_builds_outlive_all_attacks(
    attacked: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def tell(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}")
            sys.stdout.flush()

    faults: list[str] = []
    processes = {part: attacked.part(part) for part in PARTS}
    world = World.make(attacked, tmp_path)
    with ExitStack() as stack:
        stack.enter_context(nowhere())
        neighbours = [
            stack.enter_context(
                Neighbour.settled(attacked, tmp_path / f"neighbour-{number}", attacked.new_project(f"honest {number}"))
            )
            for number in range(BUILDERS)
        ]
        newest = {neighbour.project: neighbour.newest_build() for neighbour in neighbours}
        for process in processes.values():
            forget_peak(process)
        tell(f"{BUILDERS} neighbours, seed {SEED}")
        with building(neighbours) as noticed:
            for attack, seconds, seed in attacks_until(time.monotonic() + 60 * MINUTES):
                with attack_process(attack) as process:
                    given = attack.prepare(world)
                    process.begin(attacked, given, seconds, seed)
                    tally = process.end()
                try:
                    attack.check(world, given, tally)
                except AssertionError as error:
                    faults.append(f"{attack.finding} {attack.name}: {error}")
                world.finish_builds()
                tell(
                    f"{attack.finding} {attack.name}, {seconds:.0f} s, seed {seed}: "
                    f"{len(noticed.builds)} builds so far, {len(noticed.failures)} failures; {tally.total()} attempts"
                )
        peaks = {part: peak_bytes(process) / MEGABYTE for part, process in processes.items()}
        for neighbour in neighbours:
            faults += neighbour.unlike(newest[neighbour.project])
    tell(
        f"{len(noticed.builds)} builds, {noticed.build_seconds:.2f} s (median); slowest health check "
        f"{1000 * noticed.slowest_health_check:.0f} ms; memory at most {peaks['api']:.0f} MB (API), "
        f"{peaks['gateway']:.0f} MB (gateway)\n"
    )
    assert noticed.failures == []
    assert faults == []
    assert {part: attacked.part(part) for part in PARTS} == processes
    assert max(peaks.values()) < MOST_MEMORY / MEGABYTE
    nothing_is_left(attacked)


def nothing_is_left(server: Server) -> None:
    """Neither while the server goes on, of those who attacked, nor of the server once it stopped."""
    of_attackers = "select count(*) from machines where build_id is not null and state != 'stopped'"
    eventually(lambda: server.query(of_attackers) == [(0,)], "machines of ended builds are gone", 60)
    eventually(lambda: unknown_volumes(server) == set(), "volumes of ended builds are gone", 60)
    eventually(lambda: connections_to(server) == [], "connections of attackers are gone", 60)
    server.stop()
    assert leftovers(server) == []
    assert list(Path("/sys/fs/cgroup").glob("**/stoker-attack*")) == []
