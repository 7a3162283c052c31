"""How numbers become bars, and how machines are spoken of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from stoker.domain.machines import MachineFacts, MachineState
from stoker.domain.platforms import Platform
from stoker.web.bars import HEIGHT, WIDTH, columns, length, lengths
from stoker.web.machine_pages import state_of

NOW = datetime(2026, 3, 14, 15, tzinfo=UTC)


def test_the_largest_fills_its_place_and_little_is_seen() -> None:
    bars = columns([0, 1, 50, 100_000])
    assert [bar.height for bar in bars] == [0, 3, 3, HEIGHT]
    assert all(bar.y + bar.height == HEIGHT for bar in bars)
    assert all(one.x + one.width < next_one.x for one, next_one in pairwise(bars))
    assert bars[0].x > 0
    assert bars[-1].x + bars[-1].width < WIDTH


@pytest.mark.parametrize("values", [[], [0], [0, 0.0]])
def test_nothing_has_no_bars(values: list[float]) -> None:
    assert [bar.height for bar in columns(values)] == [0 for _ in values]
    assert lengths(values) == [0 for _ in values]


def test_a_part_of_a_whole_is_never_longer_than_it() -> None:
    assert [length(value, 10) for value in (0, 5, 10, 11)] == [0, WIDTH // 2, WIDTH, WIDTH]
    assert length(5, 0) == 0
    assert lengths([2, 4, 1]) == [500, 1000, 250]


@pytest.mark.parametrize(
    ("state", "crashes", "retry_at", "words"),
    [
        (MachineState.READY, 0, None, "ready"),
        (MachineState.STARTING, 3, None, "starting"),
        (MachineState.STOPPED, 0, NOW + timedelta(minutes=1), "stopped"),
        (MachineState.STOPPED, 2, NOW + timedelta(minutes=1), "stopped"),
        (MachineState.STOPPED, 3, NOW + timedelta(minutes=1), "paused after 3 crashes"),
        (MachineState.STOPPED, 3, NOW, "stopped"),
        (MachineState.STOPPED, 3, None, "stopped"),
    ],
)
def test_a_machine_that_waits_after_crashes_says_so(
    state: MachineState, crashes: int, retry_at: datetime | None, words: str
) -> None:
    machine = MachineFacts(
        id="m",
        project_id="p",
        platform=Platform.AMD64,
        state=state,
        changed_at=NOW,
        builds=0,
        cpus=None,
        memory_bytes=None,
        crashes=crashes,
        retry_at=retry_at,
        problem=None,
        build_id=None,
        volume_bytes=None,
        volume_problem=None,
    )
    assert state_of(machine, NOW).words == words
