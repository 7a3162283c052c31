"""Records of builds are deleted some days after the builds ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import insert, select, update

from stoker.domain.builds import Build, BuildStatus
from stoker.recorder.record_retention import RecordRetention
from stoker.services.admission import Admission
from stoker.services.core import Core, Limits
from stoker.services.wakeups import Wakeups
from stoker.store import builds as build_store
from stoker.store import steps as step_store
from stoker.store.tables.builds import builds
from stoker.store.tables.organizations import organizations, projects
from stoker.store.tables.records import steps
from stoker.system import SystemClock, SystemRandomness
from tests.harness.databases import DatabasePlace
from tests.harness.steps import step

DAY = timedelta(days=1)
DEADLINE_SECONDS = 10
A_MOMENT_SECONDS = 1
OLD_BUILDS = 25  # more than are deleted at once


async def add(core: Core, build_id: str, ended: datetime | None) -> None:
    status = BuildStatus.RUNNING if ended is None else BuildStatus.SUCCEEDED
    begun = core.now() - 40 * DAY
    async with core.database.write() as tx:
        await build_store.add_build(tx, Build(build_id, "o", "p", status, None, begun, begun, ended))
        await tx.execute(update(builds).where(builds.c.id == build_id).values(finished_at=ended))
        made = replace(step(1, 0, 1, name="RUN make"), build_id=build_id)
        await step_store.save_steps(tx, "p", [made], is_trusted=True)


async def recorded(core: Core) -> set[str]:
    async with core.database.read() as tx:
        return set((await tx.execute(select(steps.c.build_id))).scalars())


async def test_only_records_of_builds_that_ended_long_ago_are_deleted(place: DatabasePlace) -> None:
    database = place.open()
    core = Core(database, SystemClock(), SystemRandomness(), Wakeups(), Limits(), Admission())
    now = core.now()
    async with database.write() as tx:
        await tx.execute(insert(organizations).values(id="o", name="o", created_at=now))
        project = {"name": "p", "region_id": "r", "keep_bytes": 1, "keep_days": 1, "created_at": now, "hardware": "h"}
        await tx.execute(insert(projects).values(id="p", organization_id="o", **project))
    for number in range(OLD_BUILDS):
        await add(core, f"old{number:02}", now - 31 * DAY)
    await add(core, "recent", now - 29 * DAY)
    await add(core, "running", None)

    nothing_left = asyncio.Event()

    async def pause(seconds: float) -> None:
        if seconds > A_MOMENT_SECONDS:
            nothing_left.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(RecordRetention(core, 30 * DAY, pause).run())
    await asyncio.wait_for(nothing_left.wait(), DEADLINE_SECONDS)
    assert await recorded(core) == {"recent", "running"}
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await database.close()
