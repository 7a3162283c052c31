"""The table of a machine's states, and what is decided in each."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stoker.domain.errors import IllegalTransition
from stoker.domain.machines import (
    TRANSITIONS,
    Action,
    Desired,
    Machine,
    MachineState,
    Wait,
    checked_transition,
    next_action,
    retry_delay_seconds,
)
from stoker.domain.platforms import Platform

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
IDLE = timedelta(minutes=2)
MACHINE = Machine(
    id="m",
    organization_id="o",
    project_id="p",
    platform=Platform.AMD64,
    region_id="r",
    desired=Desired.RUNNING,
    state=MachineState.READY,
    run=1,
    volume_id="v",
    placement=None,
    error=None,
    failures=0,
    retry_at=None,
    idle_since=None,
)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("changes", "leases", "expected"),
    [
        ({"state": MachineState.STOPPED}, 1, Action.START),
        ({"state": MachineState.STOPPED}, 0, Wait()),
        ({"state": MachineState.STOPPED, "prewarmed_until": NOW + SECOND}, 0, Action.START),
        ({"state": MachineState.STOPPED, "prewarmed_until": NOW}, 0, Wait()),
        ({"state": MachineState.STOPPED, "prewarmed_until": NOW + SECOND, "failures": 1}, 0, Wait()),
        ({"state": MachineState.STOPPED, "prewarmed_until": NOW + SECOND, "waits_for": "a node"}, 0, Wait()),
        ({"idle_since": NOW - IDLE, "prewarmed_until": NOW + SECOND}, 0, Wait(NOW + SECOND)),
        ({"idle_since": NOW - IDLE, "prewarmed_until": NOW}, 0, Action.STOP),
        ({"state": MachineState.STOPPED, "prewarmed_until": NOW + SECOND, "desired": Desired.STOPPED}, 0, Wait()),
        (
            {"state": MachineState.STOPPED, "prewarmed_until": NOW + SECOND, "retry_at": NOW + SECOND},
            0,
            Wait(NOW + SECOND),
        ),
        ({"state": MachineState.STOPPED, "desired": Desired.STOPPED}, 1, Wait()),
        ({"state": MachineState.STOPPED, "retry_at": NOW + SECOND}, 1, Wait(NOW + SECOND)),
        ({"state": MachineState.STOPPED, "retry_at": NOW - SECOND}, 1, Action.START),
        ({"state": MachineState.STARTING}, 0, Action.FINISH_START),
        ({"state": MachineState.STOPPING}, 1, Action.FINISH_STOP),
        ({"state": MachineState.STOPPING, "retry_at": NOW + SECOND}, 1, Wait(NOW + SECOND)),
        ({}, 1, Wait()),
        ({"idle_since": NOW - IDLE - SECOND}, 1, Wait()),
        ({}, 0, Wait(NOW + IDLE)),
        ({"idle_since": NOW - IDLE + SECOND}, 0, Wait(NOW + SECOND)),
        ({"outdated": True}, 1, Wait()),
        ({"outdated": True}, 0, Action.STOP),
        ({"idle_since": NOW - IDLE}, 0, Action.STOP),
        ({"desired": Desired.STOPPED}, 3, Action.STOP),
        ({"volume_given_up": True}, 3, Action.STOP),
    ],
)
def test_what_is_done_next(changes: dict[str, object], leases: int, expected: Action | Wait) -> None:
    machine = replace(MACHINE, **changes)
    assert next_action(machine, live_leases=leases, now=NOW, idle_timeout=IDLE) == expected


@pytest.mark.parametrize(("current", "target"), list(itertools.product(MachineState, MachineState)))
def test_only_what_the_table_allows_is_possible(current: MachineState, target: MachineState) -> None:
    if (current, target) in TRANSITIONS:
        assert checked_transition(current, target) is target
    else:
        with pytest.raises(IllegalTransition):
            checked_transition(current, target)


def test_a_machine_whose_volume_is_given_up_takes_no_builds() -> None:
    assert MACHINE.usable
    assert not replace(MACHINE, volume_given_up=True).usable


def test_each_run_has_a_name_of_its_own() -> None:
    names = {replace(MACHINE, id=machine, run=run).server_name for machine in ("a", "b") for run in (1, 2)}
    assert len(names) == 4


def test_the_pause_before_another_start_grows_to_a_minute() -> None:
    delays = [retry_delay_seconds(failures) for failures in range(1, 12)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.5, 60.0)
