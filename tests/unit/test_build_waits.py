"""What a build waited for before its first step, and what its running steps add to its work."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from stoker.domain.build_waits import Wait, build_waits
from stoker.domain.build_work import BuildWork, with_running
from stoker.domain.builds import Build, BuildStatus
from tests.harness.steps import BEGIN, step

NEW = Build("b", "o", "p", BuildStatus.RUNNING, None, BEGIN, None, None)
LEASED = replace(NEW, started_at=BEGIN + timedelta(seconds=4))
ENDED = replace(LEASED, status=BuildStatus.FAILED, finished_at=BEGIN + timedelta(seconds=20))


def wait(name: str, begun: float, ended: float, *, is_over: bool = True) -> Wait:
    return Wait(name, BEGIN + timedelta(seconds=begun), BEGIN + timedelta(seconds=ended), is_over)


def waits(build: Build, first_work: float | None = None) -> list[Wait]:
    first = None if first_work is None else BEGIN + timedelta(seconds=first_work)
    return build_waits(build, first, BEGIN + timedelta(seconds=60))


def test_a_build_waits_for_its_turn_and_then_for_its_machine() -> None:
    assert waits(NEW) == [wait("Queue", 0, 60, is_over=False)]
    assert waits(LEASED) == [wait("Queue", 0, 4), wait("Machine start", 4, 60, is_over=False)]
    assert waits(LEASED, 9) == [wait("Queue", 0, 4), wait("Machine start", 4, 9)]


def test_waits_end_with_the_build() -> None:
    assert waits(ENDED) == [wait("Queue", 0, 4), wait("Machine start", 4, 20)]
    assert waits(replace(ENDED, started_at=None)) == [wait("Queue", 0, 20)]


def test_a_machine_whose_clock_is_behind_makes_no_negative_wait() -> None:
    assert waits(LEASED, 1)[1] == wait("Machine start", 4, 4)


def test_running_steps_count_until_now() -> None:
    work = BuildWork(3, 1, timedelta(seconds=5), BEGIN, BEGIN + timedelta(seconds=6))
    now = BEGIN + timedelta(seconds=10)
    assert with_running(work, [], now) == work
    running = [step(1, 4, None), step(2, 9, None), step(3, 99, None)]
    assert with_running(work, running, now) == replace(work, work=timedelta(seconds=5 + 6 + 1), ended_at=now)
