"""Rows that were read a moment ago: never stale, whoever wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stoker.store.database import Database, Transaction
from stoker.store.facts import add_fact, find_fact
from stoker.store.recent import Recent
from tests.harness.databases import DatabasePlace


@pytest.fixture
async def database(place: DatabasePlace) -> AsyncIterator[Database]:
    opened = place.open()
    async with opened.write() as tx:
        await add_fact(tx, "one", "first")
    yield opened
    await opened.close()


class Reads:
    """Finds facts, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, tx: Transaction, name: str) -> str | None:
        self.count += 1
        return await find_fact(tx, name)


async def test_a_row_is_read_once_while_nothing_changes(database: Database, place: DatabasePlace) -> None:
    reads = Reads()
    recent = Recent(database, reads)
    assert [await recent.get("one") for _ in range(3)] == ["first"] * 3
    assert reads.count == (3 if place.is_postgresql else 1), "PostgreSQL does not say whether something changed"


async def test_a_commit_of_our_own_is_seen_at_once(database: Database) -> None:
    recent = Recent(database, Reads())
    assert await recent.get("two") is None
    async with database.write() as tx:
        await add_fact(tx, "two", "second")
        assert await recent.get("two") is None, "not committed yet"
    assert await recent.get("two") == "second"


async def test_a_commit_of_another_process_is_seen_at_once(database: Database, place: DatabasePlace) -> None:
    recent = Recent(database, Reads())
    for value in ("changed", "and again"):
        assert await recent.get("one") != value
        place.query("update facts set value = ? where name = 'one'", value)
        assert await recent.get("one") == value


async def test_what_is_not_there_is_not_remembered_and_the_rest_is_bounded(
    database: Database, place: DatabasePlace
) -> None:
    reads = Reads()
    recent = Recent(database, reads, most=1)
    async with database.write() as tx:
        await add_fact(tx, "two", "second")
    for name in ("none", "one", "two", "none", "one", "two"):
        await recent.get(name)
    assert reads.count == (6 if place.is_postgresql else 5), "only the first that was found is remembered"
