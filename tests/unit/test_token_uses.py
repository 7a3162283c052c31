"""Uses of tokens are noted without a write, and stored together."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stoker.domain.errors import Unavailable
from stoker.services.admission import Admission
from stoker.services.bootstrap import BootstrapService
from stoker.services.core import Core, Limits
from stoker.services.token_uses import TokenUses, TokenUseService
from stoker.services.wakeups import Wakeups
from stoker.store.engines.sqlite import open_sqlite
from stoker.store.migrate import migrate
from stoker.store.tokens import StoredToken, find_token_by_id
from stoker.system import SystemClock, SystemRandomness

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    migrate(tmp_path / "stoker.db")
    return tmp_path / "stoker.db"


@pytest.fixture
async def core(path: Path) -> AsyncIterator[Core]:
    database = open_sqlite(path, busy_seconds=0.01)
    made = Core(database, SystemClock(), SystemRandomness(), Wakeups(), Limits(), Admission())
    await BootstrapService(made).first_steps(lambda _: None)
    yield made
    await database.close()


def only_token(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT id FROM tokens").fetchone()[0]


async def read(core: Core, token_id: str) -> StoredToken:
    async with core.database.read() as tx:
        token = await find_token_by_id(tx, token_id)
    assert token is not None
    return token


async def test_a_use_is_stored_once_however_often_it_was_noted(core: Core, path: Path) -> None:
    token, service = only_token(path), TokenUseService(core)
    assert (await read(core, token)).last_used_at is None
    for second in range(1000):
        service.note(token, NOW + timedelta(seconds=second))

    assert await service.store() == 1
    assert await service.store() == 0

    assert (await read(core, token)).last_used_at == NOW + timedelta(seconds=999)


async def test_an_earlier_use_does_not_replace_a_later_one(core: Core, path: Path) -> None:
    token, service = only_token(path), TokenUseService(core)
    for moment in (LATER, NOW):
        service.note(token, moment)
        await service.store()
    assert (await read(core, token)).last_used_at == LATER


async def test_what_can_not_be_stored_stays_noted(core: Core, path: Path) -> None:
    token, service = only_token(path), TokenUseService(core)
    service.note(token, NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="the server's database is busy; try again"):
            await service.store()
    assert await service.store() == 1
    assert (await read(core, token)).last_used_at == NOW


def test_what_is_noted_while_others_are_stored_is_kept() -> None:
    uses = TokenUses()
    uses.note("a", NOW)
    uses.note("b", NOW)
    stored = uses.noted()
    uses.note("a", LATER)
    uses.discard(stored)
    assert uses.noted() == {"a": LATER}


def test_notes_are_bounded() -> None:
    uses = TokenUses(most=2)
    for token in ("a", "b", "c"):
        uses.note(token, NOW)
    uses.note("a", LATER)
    assert uses.noted() == {"a": LATER, "b": NOW}
