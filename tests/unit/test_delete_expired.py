"""The audit log is bounded by age and by number."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from stoker.domain.audit import Action, Party, server_party
from stoker.services.admission import Admission
from stoker.services.audit_log import record
from stoker.services.core import Core, Limits
from stoker.services.retention import RetentionService
from stoker.services.wakeups import Wakeups
from stoker.settings.retention import RetentionSettings
from stoker.store.tables.audit import audit_events
from stoker.system import SystemRandomness
from tests.harness.clocks import SetClock
from tests.harness.databases import DatabasePlace

DAY = timedelta(days=1)


async def add(core: Core, name: str) -> None:
    async with core.database.write() as tx:
        target = Party("project", "", name)
        await record(core, tx, server_party("test"), Action.PROJECT_CREATE, target, None)


async def kept(core: Core) -> list[str]:
    async with core.database.read() as tx:
        return list((await tx.execute(select(audit_events.c.target_name).order_by(audit_events.c.id))).scalars())


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (Limits(), [str(number) for number in range(10)]),
        (Limits(retention=RetentionSettings(audit_days=3)), ["7", "8", "9"]),
        (Limits(retention=RetentionSettings(audit_days=0, max_audit_events=4)), ["6", "7", "8", "9"]),
        (Limits(retention=RetentionSettings(audit_days=2, max_audit_events=4)), ["8", "9"]),
        (Limits(retention=RetentionSettings(audit_days=0, max_audit_events_per_organization=3)), ["7", "8", "9"]),
        (Limits(retention=RetentionSettings(audit_days=0, max_audit_events_per_actor=2)), ["8", "9"]),
    ],
)
async def test_old_and_surplus_events_are_forgotten(place: DatabasePlace, limits: Limits, left: list[str]) -> None:
    clock = SetClock()
    database = place.open()
    core = Core(database, clock, SystemRandomness(), Wakeups(), replace(limits), Admission())
    for number in range(10):
        await add(core, str(number))
        clock.time += DAY

    deleted = await RetentionService(core).delete_expired()

    assert deleted == 10 - len(left)
    assert await kept(core) == left
    await database.close()
