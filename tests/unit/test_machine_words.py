"""How machines are spoken of on pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stoker.domain.machines import MachineFacts, MachineState
from stoker.domain.platforms import Platform
from stoker.web.pages.machine import state_of

NOW = datetime(2026, 3, 14, 15, tzinfo=UTC)


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
