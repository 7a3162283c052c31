"""Attacks as load, while another organization builds and a load balancer asks for health: nobody else notices any.

Each runs for STOKER_ATTACK_SECONDS. With the few seconds of `make test` what counts is that nothing fails, no process
ends, and memory stays bounded; from half a minute on, how long builds and health checks take counts too.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.attack.attacks import ALL
from tests.attack.framework.attack import Attack
from tests.attack.framework.memory import forget_peak, peak_bytes, resident_bytes
from tests.attack.framework.neighbour import Neighbour, Noticed
from tests.attack.framework.nowhere import nowhere
from tests.attack.framework.process import attack_process
from tests.attack.framework.settings import SERVER
from tests.attack.framework.table import MEGABYTE, ROW, Memory, Row, table, text_of
from tests.attack.framework.world import World
from tests.harness.server import Server
from tests.harness.waiting import eventually

SECONDS = float(os.environ.get("STOKER_ATTACK_SECONDS", "2"))
SEED = int(os.environ.get("STOKER_ATTACK_SEED", "1"))
IS_LONG = SECONDS >= 30
BASE_SECONDS = SECONDS / 3 if IS_LONG else 0
LONGEST_RATIO = 1.5
LONGEST_HEALTH_CHECK = 0.1


@dataclass
class Scene:
    """The attackers, their neighbour, and what that noticed while nobody attacked."""

    world: World
    neighbour: Neighbour
    quiet: Noticed

    def before(self) -> Noticed:
        """What the neighbour notices while nobody attacks: in the long version just before, else so far."""
        if not IS_LONG:
            self.neighbour.build(self.quiet)
            return self.quiet
        with self.neighbour.working() as noticed:
            pause(BASE_SECONDS)
        return noticed


def pause(seconds: float) -> None:
    """Let neighbours work for so long. That is what is measured; nothing is waited for."""

    threading.Event().wait(seconds)


@pytest.fixture(scope="module")
def scene(make_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    server = make_server(**SERVER)
    folder = tmp_path_factory.mktemp("attack")
    with nowhere(), Neighbour.settled(server, folder / "neighbour") as neighbour:
        quiet = Noticed()
        for _ in range(3):
            neighbour.build(quiet)
            neighbour.check_health(quiet)
        yield Scene(World.make(server, folder), neighbour, quiet)


@contextmanager
def same_processes(server: Server, faults: list[str]) -> Iterator[None]:
    """Note a fault when a process of the server isn't the one of before."""
    before = {part: server.part(part) for part in ("api", "gateway")}
    yield
    faults += [f"the {part} ended" for part, process_id in before.items() if server.part(part) != process_id]
    if server.process is None or server.process.poll() is not None:
        faults.append("the server ended")


def measured(scene: Scene, attack: Attack) -> Row:
    """Attack while the neighbour works."""
    world, server, faults = scene.world, scene.world.server, []
    eventually(server.answers, "the server answers", 60)
    with attack_process(attack) as process:
        given = attack.prepare(world)
        before = scene.before()
        parts = [server.part("api"), server.part("gateway")]
        resident = [resident_bytes(part) for part in parts]
        for part in parts:
            forget_peak(part)
        newest = scene.neighbour.newest_build()
        with same_processes(server, faults):
            process.begin(server, given, SECONDS, SEED)
            with scene.neighbour.working() as during:
                tally = process.end()
    try:
        peaks = [peak_bytes(part) for part in parts]
    except OSError:
        peaks = resident
    api, gateway = (Memory(*pair) for pair in zip(resident, peaks, strict=True))
    faults += during.failures
    for name, memory, bound in (("API", api, attack.api_growth), ("gateway", gateway, attack.gateway_growth)):
        if memory.growth > bound:
            faults.append(f"the {name} took {memory.growth / MEGABYTE:.0f} MB more")
    row = Row(attack, before, during, api, gateway, tally, faults)
    if IS_LONG and row.ratio > LONGEST_RATIO:
        faults.append(f"builds took {row.ratio:.2f} times as long")
    if IS_LONG and during.slowest_health_check > LONGEST_HEALTH_CHECK:
        faults.append(f"a health check took {during.slowest_health_check:.2f} s")
    faults += scene.neighbour.unlike(newest)
    try:
        attack.check(world, given, tally)
    except AssertionError as error:
        faults.append(str(error).splitlines()[0])
    finally:
        world.finish_builds()
    return row


@pytest.mark.timeout(120 + 3 * SECONDS)
@pytest.mark.parametrize("attack", ALL, ids=lambda attack: f"{attack.finding} {attack.name}")
def test_neighbours_notice_nothing_of(
    attack: Attack, scene: Scene, record_property: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    row = measured(scene, attack)
    record_property(ROW, text_of(row))
    if IS_LONG:
        with capsys.disabled():
            sys.stdout.write(f"\n{table([text_of(row)])}\n")
    assert row.tally.total() > 0, "the attack did nothing"
    assert row.faults == []
