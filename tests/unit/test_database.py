"""The tables, their migrations, and the claims under which controllers work."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from stoker.domain.machines import Desired, Machine, MachineState, Placement
from stoker.domain.platforms import Platform
from stoker.services.admission import Admission
from stoker.services.bootstrap import BootstrapService, FirstSteps
from stoker.services.core import Core, Limits
from stoker.services.wakeups import Wakeups
from stoker.store import machines as store
from stoker.store.database import Database
from stoker.store.engines.sqlite import open_sqlite
from stoker.store.locks import Lock, LockOrderError
from stoker.store.migrate import HEAD, DatabaseTooNew, migrate, migration_config
from stoker.store.placements import read_placement
from stoker.store.tables.schema import SCHEMA
from stoker.system import SystemClock, SystemRandomness
from tests.harness.databases import DatabasePlace

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    migrate(tmp_path / "stoker.db")
    return tmp_path / "stoker.db"


@pytest.fixture
async def database(place: DatabasePlace) -> AsyncIterator[Database]:
    opened = place.open()
    yield opened
    await opened.close()


@pytest.fixture
async def first(database: Database) -> FirstSteps:
    core = Core(database, SystemClock(), SystemRandomness(), Wakeups(), Limits(), Admission())
    made = await BootstrapService(core).first_steps(lambda _: None)
    assert made is not None
    return made


def a_machine(first: FirstSteps) -> Machine:
    return Machine(
        id="0000000000000001",
        organization_id=first.organization_id,
        project_id=first.project_id,
        platform=Platform.AMD64,
        region_id="us-east-1",
        desired=Desired.RUNNING,
        state=MachineState.STOPPED,
        run=0,
        volume_id=None,
        placement=None,
        error=None,
        failures=0,
        retry_at=None,
        idle_since=None,
    )


def schema(path: Path) -> dict[str, object]:
    """Everything that a database's tables are, but for the order of their columns."""
    with closing(sqlite3.connect(path)) as connection:

        def rows(pragma: str, name: str) -> list[tuple[object, ...]]:
            return connection.execute(f"SELECT * FROM pragma_{pragma}(?)", (name,)).fetchall()  # noqa: S608

        def columns_of(index: str) -> list[object]:
            return [row[2] for row in rows("index_info", index)]

        def condition_of(index: str) -> str:
            ((sql,),) = connection.execute("SELECT coalesce(sql, '') FROM sqlite_master WHERE name = ?", (index,))
            return str(sql).partition(" WHERE ")[2]

        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: {
                "columns": {row[1]: row[2:] for row in rows("table_info", table)},
                "foreign keys": sorted((row[2:] for row in rows("foreign_key_list", table)), key=str),
                "indexes": sorted(
                    (
                        [
                            "" if row[1].startswith("sqlite_") else row[1],
                            *row[2:],
                            columns_of(row[1]),
                            condition_of(row[1]),
                        ]
                        for row in rows("index_list", table)
                    ),
                    key=str,
                ),
            }
            for table in tables
        }


def test_migrations_make_what_the_tables_say(path: Path, tmp_path: Path) -> None:
    migrated = tmp_path / "migrated.db"
    command.upgrade(migration_config(migrated), "head")
    with create_engine(f"sqlite:///{migrated}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SCHEMA) == []
    assert schema(path) == schema(migrated), "a new database is what all migrations make of an old one"


def test_a_database_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    command.upgrade(migration_config(path), "0001")
    migrate(path)
    assert schema(path) == schema_of_new(tmp_path)


def schema_of_new(folder: Path) -> dict[str, object]:
    migrate(folder / "new.db")
    return schema(folder / "new.db")


def test_the_known_head_is_the_last_migration(path: Path) -> None:
    assert ScriptDirectory.from_config(migration_config(path)).get_current_head() == HEAD


def test_the_database_is_readable_by_its_owner_alone(path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0


def test_a_database_of_a_newer_version_is_left_alone(path: Path) -> None:
    with create_engine(f"sqlite:///{path}").begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseTooNew, match="newer stoker"):
        migrate(path)


async def test_a_transaction_that_raises_changes_nothing(database: Database, first: FirstSteps) -> None:
    async def break_off() -> None:
        async with database.write() as tx:
            await store.add_machine(tx, a_machine(first), NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await break_off()
    async with database.read() as tx:
        assert await store.find_machine(tx, a_machine(first).id) is None


async def test_locks_are_taken_in_one_order(database: Database) -> None:
    async with database.write() as tx:
        await tx.lock(Lock.PROJECT, "one")
        await tx.lock(Lock.PROJECT, "one")
        await tx.lock(Lock.ORGANIZATION, "any")
        with pytest.raises(LockOrderError, match="queue after organization, project"):
            await tx.lock(Lock.QUEUE)


async def test_projects_are_locked_together_under_the_lock_of_the_queue_alone(database: Database) -> None:
    async with database.write() as tx:
        await tx.lock(Lock.QUEUE)
        await tx.lock(Lock.PROJECT, "two")
        await tx.lock(Lock.PROJECT, "one")
    async with database.write() as tx:
        await tx.lock(Lock.PROJECT, "two")
        with pytest.raises(LockOrderError, match="project after project"):
            await tx.lock(Lock.PROJECT, "one")


async def test_a_machine_is_claimed_by_one_controller_at_a_time(database: Database, first: FirstSteps) -> None:
    machine = a_machine(first)
    async with database.write() as tx:
        await store.add_machine(tx, machine, NOW)
        assert await store.claim_machine(tx, machine.id, "one", NOW, LATER) == machine
        assert await store.claim_machine(tx, machine.id, "two", NOW, LATER) is None
        await store.release_claim(tx, machine.id, "two")
        assert await store.claim_machine(tx, machine.id, "two", NOW, LATER) is None
        await store.release_claim(tx, machine.id, "one")
        assert await store.claim_machine(tx, machine.id, "two", NOW, LATER) == machine


async def test_a_controller_that_lost_its_claim_changes_nothing(database: Database, first: FirstSteps) -> None:
    machine = a_machine(first)
    async with database.write() as tx:
        await store.add_machine(tx, machine, NOW)
        await store.claim_machine(tx, machine.id, "slow", NOW, LATER)
        after = LATER + timedelta(seconds=1)
        assert await store.claim_machine(tx, machine.id, "next", after, after + timedelta(minutes=5)) == machine
    async with database.write() as tx:
        with pytest.raises(store.ClaimLost):
            await store.save_claimed(tx, machine, "slow", NOW)


async def test_a_placement_comes_back_as_it_was_stored(database: Database, first: FirstSteps) -> None:
    placed = replace(a_machine(first), placement=Placement("127.0.0.1", 4000, cpus=2, remembered={"pod": "one"}))
    async with database.write() as tx:
        await store.add_machine(tx, a_machine(first), NOW)
        await store.claim_machine(tx, placed.id, "one", NOW, LATER)
        await store.save_claimed(tx, placed, "one", NOW)
        assert await store.find_machine(tx, placed.id) == placed


def test_placements_of_earlier_versions_are_readable() -> None:
    old = '{"host": "127.0.0.1", "port": 4000, "process_id": 17, "process_started": 12345, "cpus": 2, '
    old += '"memory_bytes": null, "over_policy": true}'
    remembered = {"process_id": "17", "process_started": "12345"}
    assert read_placement(old) == Placement("127.0.0.1", 4000, cpus=2, over_policy=True, remembered=remembered)


async def test_the_first_steps_are_taken_once(database: Database, first: FirstSteps) -> None:
    core = Core(database, SystemClock(), SystemRandomness(), Wakeups(), Limits(), Admission())
    assert first.token not in repr(first)
    assert await BootstrapService(core).first_steps(lambda _: None) is None


async def test_a_token_that_could_not_be_written_down_is_not_created(database: Database) -> None:
    core = Core(database, SystemClock(), SystemRandomness(), Wakeups(), Limits(), Admission())

    def full_disk(_: FirstSteps) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        await BootstrapService(core).first_steps(full_disk)
    assert await BootstrapService(core).first_steps(lambda _: None) is not None


def test_another_process_finds_the_index_in_use(path: Path) -> None:
    """Else it would begin it anew, and cut off what is mapped here, which ends a process by SIGBUS."""
    database = open_sqlite(path)
    index = path.with_name(f"{path.name}-shm")
    assert index.stat().st_size == 1024**2
    command = [sys.executable, "-c", "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('select 1 from facts')"]
    subprocess.run([*command, str(path)], check=True)
    assert index.stat().st_size == 1024**2
    asyncio.run(database.close())
