"""Uses of tokens are noted without a write, and stored together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from stoker.domain.errors import Unavailable
from stoker.services.admission import Admission
from stoker.services.bootstrap import BootstrapService
from stoker.services.core import Core, Limits
from stoker.services.token_uses import TokenUses, TokenUseService
from stoker.services.wakeups import Wakeups
from stoker.store.tokens import StoredToken, find_token_by_id
from stoker.system import SystemClock, SystemRandomness
from tests.harness.databases import DatabasePlace

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
async def core(place: DatabasePlace) -> AsyncIterator[Core]:
    database = place.open_impatiently()
    made = Core(database, SystemClock(), SystemRandomness(), Wakeups(), Limits(), Admission())
    await BootstrapService(made).first_steps(lambda _: None)
    yield made
    await database.close()


def only_token(place: DatabasePlace) -> str:
    return place.query("SELECT id FROM tokens")[0][0]


async def read(core: Core, token_id: str) -> StoredToken:
    async with core.database.read() as tx:
        token = await find_token_by_id(tx, token_id)
    assert token is not None
    return token


async def test_a_use_is_stored_once_however_often_it_was_noted(core: Core, place: DatabasePlace) -> None:
    token, service = only_token(place), TokenUseService(core)
    assert (await read(core, token)).last_used_at is None
    for second in range(1000):
        service.note(token, NOW + timedelta(seconds=second))

    assert await service.store() == 1
    assert await service.store() == 0

    assert (await read(core, token)).last_used_at == NOW + timedelta(seconds=999)


async def test_an_earlier_use_does_not_replace_a_later_one(core: Core, place: DatabasePlace) -> None:
    token, service = only_token(place), TokenUseService(core)
    for moment in (LATER, NOW):
        service.note(token, moment)
        await service.store()
    assert (await read(core, token)).last_used_at == LATER


async def test_what_can_not_be_stored_stays_noted(core: Core, place: DatabasePlace) -> None:
    token, service = only_token(place), TokenUseService(core)
    service.note(token, NOW)
    busy = pytest.raises(Unavailable, match="the server's database is busy; try again")
    with place.keeping_writers_out("tokens"), busy:
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
