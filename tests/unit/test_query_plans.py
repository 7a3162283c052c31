"""What is asked often takes its index, whatever is asked for; what looks at many rows leaves the event loop alone."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from stoker.store.builds import overdue_builds, running_builds
from stoker.store.census import count_running_builds
from stoker.store.database import Transaction
from stoker.store.engines.sqlite import open_sqlite
from stoker.store.machines import count_running_machines, machine_used_last
from stoker.store.migrate import migrate
from stoker.store.step_work import work_of_builds

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Asked:
    """The statements that were run, and the threads that ran them."""

    path: Path
    statements: list[str] = field(default_factory=list[str])
    threads: set[threading.Thread] = field(default_factory=set[threading.Thread])

    async def ask(self, query: Callable[[Transaction], Awaitable[object]]) -> None:
        database = open_sqlite(self.path)
        self.statements.clear()
        self.threads.clear()
        async with database.read() as tx:
            await query(tx)
        await database.close()

    def plan(self) -> str:
        """What SQLite would do for the one statement, not knowing what its parameters stand for."""
        (statement,) = (one for one in self.statements if "FROM builds" in one or "FROM machines" in one)
        with closing(sqlite3.connect(self.path)) as connection:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * statement.count("?"))
            return "; ".join(row[3] for row in rows)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    found = Asked(tmp_path / "stoker.db")
    migrate(found.path)

    def note(_connection: object, _cursor: object, statement: str, *_: Any) -> None:
        found.statements.append(statement)
        found.threads.add(threading.current_thread())

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "query",
    [running_builds, lambda tx: overdue_builds(tx, MOMENT, 1), count_running_builds],
    ids=["running", "overdue", "count"],
)
async def test_running_builds_are_found_by_their_index(
    asked: Asked, query: Callable[[Transaction], Awaitable[object]]
) -> None:
    await asked.ask(query)
    assert "INDEX ix_builds_running" in asked.plan()


async def test_the_steps_of_many_builds_are_summed_up_beside_the_event_loop(asked: Asked) -> None:
    await asked.ask(lambda tx: work_of_builds(tx, ["a", "b"]))
    assert any("FROM steps" in one for one in asked.statements)
    assert threading.current_thread() not in asked.threads


async def test_the_machine_that_a_project_used_last_is_found_by_indexes(asked: Asked) -> None:
    await asked.ask(lambda tx: machine_used_last(tx, "project"))
    plan = asked.plan()
    assert "SCAN" not in plan, plan
    assert "TEMP B-TREE" not in plan, plan


async def test_stopped_machines_are_not_looked_at_to_count_the_others(asked: Asked) -> None:
    await asked.ask(lambda tx: count_running_machines(tx, "organization"))
    assert "INDEX ix_machines_state" in asked.plan()
