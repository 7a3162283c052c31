"""What cached steps saved: only what other, trusted builds of the project tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from stoker.domain.builds import Build, BuildStatus
from stoker.domain.steps import CLIENT_REF
from stoker.store import build_work
from stoker.store import builds as build_store
from stoker.store import step_work as step_work_store
from stoker.store import steps as step_store
from stoker.store.database import Database, Transaction
from stoker.store.tables.builds import builds
from stoker.store.tables.organizations import organizations, projects
from tests.harness.databases import DatabasePlace
from tests.harness.steps import BEGIN, step


@pytest.fixture
async def database(place: DatabasePlace) -> AsyncIterator[Database]:
    opened = place.open()
    async with opened.write() as tx:
        await tx.execute(insert(organizations).values(id="o", name="o", created_at=BEGIN))
        await tx.execute(
            insert(projects).values(
                id="p",
                organization_id="o",
                name="p",
                region_id="r",
                keep_bytes=1,
                keep_days=1,
                created_at=BEGIN,
                hardware="h",
            )
        )
    yield opened
    await opened.close()


async def add(
    tx: Transaction,
    build: str,
    seconds: int | None,
    *,
    untrusted: bool = False,
    ref: str = "solve",
    number: int = 1,
) -> None:
    """A build whose one step took so long, or came from the cache."""
    if number == 1:
        one = Build(build, "o", "p", BuildStatus.SUCCEEDED, None, BEGIN, BEGIN, BEGIN, untrusted=untrusted)
        await build_store.add_build(tx, one)
    made = step(number, 0, seconds or 0, name="RUN make", cached=seconds is None)
    made = replace(made, build_id=build, work_key="key", solve_ref=ref, digest=f"{ref}{number}")
    await step_store.save_steps(tx, "p", [made], is_trusted=not untrusted)


async def test_neither_untrusted_builds_nor_clients_tell_how_long_work_takes(database: Database) -> None:
    async with database.write() as tx:
        await add(tx, "trusted", 7)
        await add(tx, "untrusted", 5000, untrusted=True)
        await add(tx, "client", 5000, ref=CLIENT_REF)
        await add(tx, "now", None)
    async with database.read() as tx:
        assert await step_work_store.new_savings(tx, "p", "now") == {1: timedelta(seconds=7)}
        assert "untrusted" not in {one.build_id for one in await build_work.trends_of(tx, "p", 10)}


async def test_what_the_same_build_did_is_not_saved(database: Database) -> None:
    async with database.write() as tx:
        await add(tx, "before", 7)
        await add(tx, "bake", None)
        await step_work_store.save_savings(tx, "bake", await step_work_store.new_savings(tx, "p", "bake"))
        first = (await step_work_store.work_of_builds(tx, ["bake"]))["bake"][0].saved
        await add(tx, "bake", 3, ref="another solve", number=2)
        await step_work_store.save_savings(tx, "bake", await step_work_store.new_savings(tx, "p", "bake"))
        then = (await step_work_store.work_of_builds(tx, ["bake"]))["bake"][0].saved
    assert (first, then) == (timedelta(seconds=7), timedelta(0))


async def test_what_an_untrusted_build_saved_counts_nowhere_else(database: Database) -> None:
    async with database.write() as tx:
        await add(tx, "before", 7)
        await add(tx, "untrusted", None, untrusted=True)
        await step_work_store.save_savings(tx, "untrusted", await step_work_store.new_savings(tx, "p", "untrusted"))
        work = (await step_work_store.work_of_builds(tx, ["untrusted"]))["untrusted"][0]
        await build_work.save_work(tx, "untrusted", work, is_trusted=False)
        assert work.saved == timedelta(seconds=7)
        kept = select(builds.c.saved_microseconds).where(builds.c.id == "untrusted")
        assert (await tx.execute(kept)).scalar_one() == 0
