"""PostgreSQL: which databases are taken, what is lost with a connection, and what its errors tell."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, func, insert, select, text

from stoker.domain.errors import Unavailable
from stoker.settings.database import DatabaseSettings, without_password
from stoker.store.database import Database
from stoker.store.engines.postgresql_migration import is_postgresql_up_to_date, migrate_postgresql
from stoker.store.engines.postgresql_sole_use import SoleUse
from stoker.store.engines.postgresql_trouble import DatabaseFailed
from stoker.store.facts import add_fact, find_fact
from stoker.store.locks import Lock
from stoker.store.migrate import DatabaseTooNew, DatabaseUnusable, migration_config, upgrade_tables
from stoker.store.opening import open_database
from stoker.store.tables.facts import facts
from stoker.store.tables.organizations import organizations, projects
from stoker.store.tables.schema import SCHEMA
from tests.harness.clocks import SetClock
from tests.harness.postgresql import Postgresql, query, started_when_needed
from tests.harness.waiting import eventually

DEADLINE_SECONDS = 30
NOW = SetClock().now()
BUSY = """
select count(*) from pg_stat_activity
where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()
"""
KILL = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
"""
TABLES = """
select table_name, column_name, data_type, is_nullable, column_default, character_maximum_length
from information_schema.columns where table_schema = 'public' order by 1, 2
"""
INDEXES = "select tablename, indexname, indexdef from pg_indexes where schemaname = 'public' order by 1, 2"
CONSTRAINTS = """
select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
where connamespace = 'public'::regnamespace and contype <> 'n' order by 1, 2
"""


@pytest.fixture
def settings(postgresql: Postgresql) -> DatabaseSettings:
    return DatabaseSettings(database=postgresql.new_database(), database_lock_timeout_seconds=5)


@pytest.fixture
async def database(settings: DatabaseSettings) -> AsyncIterator[Database]:
    opened = open_database(settings, Path())
    yield opened
    await opened.close()


@pytest.fixture
def another() -> Iterator[Postgresql]:
    """A PostgreSQL that a test may stop."""
    with started_when_needed() as start:
        yield start()


def schema(url: str) -> list[list[tuple[object, ...]]]:
    return [query(url, sql) for sql in (TABLES, INDEXES, CONSTRAINTS)]


def test_migrations_make_what_the_tables_say(postgresql: Postgresql, settings: DatabaseSettings) -> None:
    migrated = postgresql.new_database(template="template0")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(migrated))
    with engine.connect() as connection:
        upgrade_tables(connection, None, "it")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SCHEMA) == []
    engine.dispose()
    assert schema(migrated) == schema(settings.database), "a new database is what all migrations make of an old one"


def test_an_older_database_is_brought_up_to_date(postgresql: Postgresql, settings: DatabaseSettings) -> None:
    old = DatabaseSettings(database=postgresql.new_database(template="template0"))
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(old.database))
    with engine.connect() as connection:
        config = migration_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0016")
    engine.dispose()
    assert not is_postgresql_up_to_date(old)
    migrate_postgresql(old)
    assert is_postgresql_up_to_date(old)
    assert schema(old.database) == schema(settings.database)


def test_a_database_of_a_newer_version_is_left_alone(settings: DatabaseSettings) -> None:
    query(settings.database, "update alembic_version set version_num = '9999'")
    with pytest.raises(DatabaseTooNew, match="the database was written by a newer stoker"):
        migrate_postgresql(settings)


def test_a_database_that_is_not_in_utf8_is_refused(postgresql: Postgresql) -> None:
    postgresql.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(DatabaseUnusable, match="not in UTF-8; make one with `createdb"):
        migrate_postgresql(DatabaseSettings(database=postgresql.url("latin")))


def test_a_database_that_can_not_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    nowhere = DatabaseSettings(database=f"postgresql://me:hunter2@/stoker?host={tmp_path}")
    with pytest.raises(DatabaseUnusable, match="the database can't be used: ") as refused:
        migrate_postgresql(nowhere)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(nowhere)
    assert not is_postgresql_up_to_date(nowhere)


def test_a_url_that_libpq_does_not_understand_is_not_repeated() -> None:
    wrong = DatabaseSettings(database="postgresql://me:100%zz@/stoker")
    with pytest.raises(DatabaseUnusable, match="percent-encode") as refused:
        migrate_postgresql(wrong)
    assert "zz" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", ""),
        ("postgresql:///stoker", "postgresql:///stoker"),
        ("postgresql://me@db:5432/stoker", "postgresql://me@db:5432/stoker"),
        ("postgresql://me:secret@db/stoker?sslmode=require", "postgresql://me:***@db/stoker?sslmode=require"),
        ("postgresql://me:se#cr/e?t@db/stoker", "postgresql://me:***@db/stoker"),
        ("postgresql://db/stoker?user=me&password=secret", "postgresql://db/stoker?user=me&password=***"),
        ("postgresql://db/s?sslpassword=secret", "postgresql://db/s?sslpassword=***"),
        ("postgresql://db/stoker?p%61ssword=secret&port=1", "postgresql://db/stoker?p%61ssword=***&port=1"),
    ],
)
def test_passwords_are_masked_for_people(url: str, shown: str) -> None:
    assert without_password(url) == shown


async def test_a_restart_of_the_database_is_not_noticed_between_two_transactions(another: Postgresql) -> None:
    database = open_database(DatabaseSettings(database=another.new_database()), Path())
    async with database.write() as tx:
        await add_fact(tx, "before", "it")
    another.stop()
    restarting = asyncio.create_task(asyncio.to_thread(another.start))
    async with database.write() as tx:
        await add_fact(tx, "after", "it")
    async with database.read() as tx:
        assert [await find_fact(tx, name) for name in ("before", "after")] == ["it", "it"]
    await restarting
    await database.close()


async def test_a_database_that_is_away_is_unavailable(another: Postgresql) -> None:
    away = DatabaseSettings(database=another.new_database(), database_connect_timeout_seconds=2)
    database = open_database(away, Path())
    async with database.read() as tx:
        assert await find_fact(tx, "any") is None
    another.stop(signal.SIGQUIT)
    with pytest.raises(Unavailable, match="the server's database can't be reached; try again"):
        async with database.read():
            pass
    another.start()
    async with database.read() as tx:
        assert await find_fact(tx, "any") is None
    await database.close()


async def test_a_connection_that_is_lost_in_a_transaction_is_told(
    database: Database, settings: DatabaseSettings
) -> None:
    async def lose() -> None:
        async with database.write() as tx:
            await add_fact(tx, "half", "done")
            query(settings.database, KILL)
            await add_fact(tx, "other half", "done")

    with pytest.raises(Unavailable, match="was lost; check whether it was done, and try again"):
        await lose()
    async with database.read() as tx:
        assert await find_fact(tx, "half") is None


async def test_a_statement_that_takes_too_long_is_ended(postgresql: Postgresql) -> None:
    hasty = DatabaseSettings(database=postgresql.new_database(), database_statement_timeout_seconds=1)
    database = open_database(hasty, Path())
    with pytest.raises(Unavailable, match="the server's database took too long; try again later"):
        async with database.read() as tx:
            await tx.execute(text("select pg_sleep(60)"))
    await database.close()


async def test_a_lock_is_waited_for_so_long_and_no_longer(postgresql: Postgresql) -> None:
    hasty = DatabaseSettings(database=postgresql.new_database(), database_lock_timeout_seconds=0.2)
    database = open_database(hasty, Path())
    async with database.write() as first:
        await first.lock(Lock.QUEUE)
        with pytest.raises(Unavailable, match="the server's database is busy; try again"):
            async with database.write() as second:
                await second.lock(Lock.QUEUE)
        async with database.write() as second:
            await second.lock(Lock.PROJECT, "any")
    async with database.write() as third:
        await third.lock(Lock.QUEUE)
    await database.close()


@pytest.mark.bound("max_database_connections")
async def test_transactions_beyond_the_connections_wait(postgresql: Postgresql) -> None:
    url = postgresql.new_database()
    narrow = DatabaseSettings(database=url, max_database_connections=2, database_lock_timeout_seconds=0.2)
    database, patient = (
        open_database(one, Path()) for one in (narrow, replace(narrow, database_lock_timeout_seconds=30))
    )
    async with database.write(), database.read():
        with pytest.raises(Unavailable, match="the server's database is busy; try again"):
            async with database.read():
                pass
        assert query(url, "select count(*) from pg_stat_activity where datname = current_database()") == [(3,)]
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.gather(*(_store(patient, f"fact {number}") for number in range(20)))
    async with database.read() as tx:
        assert (await tx.execute(select(func.count()).select_from(facts))).scalar_one() == 20
    await database.close()
    await patient.close()


async def _store(database: Database, name: str) -> None:
    async with database.write() as tx:
        await add_fact(tx, name, "")


async def test_a_transaction_that_is_cancelled_leaves_nothing(database: Database, settings: DatabaseSettings) -> None:
    begun = asyncio.Event()

    async def stall() -> None:
        async with database.write() as tx:
            await add_fact(tx, "half", "done")
            begun.set()
            await tx.execute(text("select pg_sleep(60)"))

    stalled = asyncio.create_task(stall())
    await begun.wait()
    await asyncio.sleep(0)
    stalled.cancel()
    await asyncio.gather(stalled, return_exceptions=True)
    async with database.read() as tx:
        assert await find_fact(tx, "half") is None
    await asyncio.to_thread(eventually, lambda: query(settings.database, BUSY) == [(0,)], "nothing goes on there")


async def test_what_failed_in_a_transaction_is_not_committed_silently(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as tx:
            await add_fact(tx, "one", "stored")
            with pytest.raises(Exception, match="duplicate"):
                await add_fact(tx, "one", "again")

    with pytest.raises(RuntimeError, match="nothing to commit"):
        await fail()
    async with database.read() as tx:
        assert await find_fact(tx, "one") is None


async def test_an_error_tells_nothing_that_is_stored(database: Database) -> None:
    with pytest.raises(DatabaseFailed, match="null value in column") as failed:
        async with database.write() as tx:
            await tx.execute(insert(facts).values(name="the secret", value=None))
    assert "the secret" not in str(failed.value)
    assert failed.value.__suppress_context__


async def test_two_who_store_the_same_are_told_to_try_again(database: Database) -> None:
    await _store(database, "one")
    with pytest.raises(Unavailable, match="somebody else stored the same thing"):
        await _store(database, "one")


async def test_a_text_with_nul_is_stored_without(database: Database) -> None:
    async with database.write() as tx:
        await add_fact(tx, "nul", "a\0b")
        assert await find_fact(tx, "nul") == "a\ufffdb"
        assert await find_fact(tx, "n\0l") is None


async def test_sums_are_whole_numbers(database: Database) -> None:
    project = {"name": "p", "region_id": "r", "keep_bytes": 2**40, "keep_days": 1, "hardware": "h"}
    async with database.write() as tx:
        await tx.execute(insert(organizations).values(id="o", name="o", created_at=NOW))
        for name in ("a", "b"):
            await tx.execute(insert(projects).values(id=name, organization_id="o", created_at=NOW, **project))
        total = (await tx.execute(select(func.sum(projects.c.keep_bytes)))).scalar_one()
    assert total == 2**41
    assert type(total) is int


async def test_rows_are_read_a_part_at_a_time(database: Database) -> None:
    async with database.write() as tx:
        await tx.execute_many(insert(facts), [{"name": f"{number:04}", "value": "x"} for number in range(1000)])
    async with database.read() as tx:
        query_ = select(facts.c.name).order_by(facts.c.name)
        assert await tx.scan_into(query_, lambda row: int(row.name)) == list(range(1000))
        assert await tx.scan_into(query_, lambda row: int(row.name), lambda _: 1, 300) == list(range(300))
        assert await find_fact(tx, "0001") == "x", "the connection is of use afterwards"


async def test_a_database_has_one_server(settings: DatabaseSettings) -> None:
    quick = DatabaseSettings(database=settings.database, database_connect_timeout_seconds=2)
    first, second = SoleUse(quick), SoleUse(quick)
    await first.take()
    with pytest.raises(DatabaseUnusable, match="another stoker server runs on this database; stop it first"):
        await second.take()
    await first.release()
    await second.take()
    await second.release()
