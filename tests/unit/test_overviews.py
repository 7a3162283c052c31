"""Overviews: what they sum up, and that more projects don't cost more questions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event, insert

from stoker.domain.builds import Build, BuildResult, BuildStatus
from stoker.domain.ids import new_id
from stoker.domain.overviews import RATED_BUILDS, Outcomes
from stoker.domain.pagination import PageRequest
from stoker.domain.platforms import Platform
from stoker.domain.queue import Waiting
from stoker.store import builds as build_store
from stoker.store.database import Database, Transaction
from stoker.store.overviews import list_project_overviews, organization_figures, positions_of_builds
from stoker.store.tables.machines import volumes
from stoker.store.tables.organizations import organizations, projects
from stoker.store.waiting import add_waiting
from stoker.system import SystemRandomness
from tests.harness.databases import DatabasePlace

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
WEEK_AGO = NOW - timedelta(days=7)
ALL = PageRequest(100, None)


class At:
    """A clock that stands."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


def an_id(at: datetime = NOW) -> str:
    return new_id(At(at), SystemRandomness())


@pytest.fixture
async def database(place: DatabasePlace) -> AsyncIterator[Database]:
    opened = place.open()
    yield opened
    await opened.close()


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def organization(tx: Transaction) -> str:
    made = an_id()
    await tx.execute(insert(organizations).values(id=made, name="acme", created_at=NOW))
    return made


async def project(tx: Transaction, organization_id: str, name: str, *, deleted: bool = False) -> str:
    made = an_id()
    values = {"id": made, "organization_id": organization_id, "name": name, "region_id": "here", "hardware": "4x4"}
    values |= {"keep_bytes": 1, "keep_days": 1, "created_at": NOW, "deleted_at": NOW if deleted else None}
    await tx.execute(insert(projects).values(values))
    return made


async def build(tx: Transaction, organization_id: str, project_id: str, status: str, at: datetime) -> str:
    made = Build(an_id(at), organization_id, project_id, BuildStatus.RUNNING, None, at, None, None)
    await build_store.add_build(tx, made)
    if status != "running":
        await build_store.end_build(tx, made.id, BuildResult(BuildStatus(status)), at)
    return made.id


async def volume(tx: Transaction, project_id: str, size: int | None, build_id: str | None = None) -> None:
    values = {"id": an_id(), "project_id": project_id, "platform": f"p{size}", "region_id": "here", "state": "active"}
    values |= {"created_at": NOW, "failures": 0, "size_bytes": size, "build_id": build_id}
    await tx.execute(insert(volumes).values(values))


async def test_numbers_of_an_organization_are_of_its_week_and_of_now(database: Database) -> None:
    async with database.write() as tx:
        ours, others = await organization(tx), await organization(tx)
        web, api = await project(tx, ours, "web"), await project(tx, ours, "api")
        gone = await project(tx, ours, "gone", deleted=True)
        await build(tx, others, await project(tx, others, "theirs"), "failed", NOW)
        await build(tx, ours, gone, "failed", NOW)
        await build(tx, ours, web, "failed", WEEK_AGO - timedelta(minutes=1))
        ends = ("succeeded", "succeeded", "failed", "canceled", "running", "running")
        made = [await build(tx, ours, web, end, NOW - timedelta(hours=9 - n)) for n, end in enumerate(ends)]
        newest = await build(tx, ours, api, "succeeded", NOW)
        for number in range(2):
            platform = (Platform.AMD64, Platform.ARM64)[number]
            await add_waiting(tx, Waiting(an_id(), made[-1], platform, ours, web, NOW, NOW))
    async with database.read() as tx:
        found = (await organization_figures(tx, [ours], WEEK_AGO, 3))[ours]
    assert (found.projects, found.builds, found.outcomes) == (2, 7, Outcomes(succeeded=3, failed=1))
    assert (found.running, found.waiting) == (1, 1), "the one that waits doesn't run yet, and is one build"
    assert [one.build.id for one in found.last_builds] == [newest, made[-1], made[-2]]
    assert [one.project_name for one in found.last_builds] == ["api", "web", "web"]


async def test_a_project_is_rated_by_its_last_builds_alone(database: Database) -> None:
    async with database.write() as tx:
        ours = await organization(tx)
        web, empty = await project(tx, ours, "web"), await project(tx, ours, "empty")
        for number in range(RATED_BUILDS + 10):
            status = "failed" if number < 12 else "canceled" if number == 20 else "succeeded"
            last = await build(tx, ours, web, status, NOW + timedelta(minutes=number))
        for size in (5, 7, None):
            await volume(tx, web, size)
        await volume(tx, web, 1000, build_id=last)
    async with database.read() as tx:
        page = await list_project_overviews(tx, ours, "", ALL)
    assert [one.project.id for one in page.items] == [empty, web]
    nothing, rated = page.items
    assert (nothing.last_build, nothing.cache_bytes, nothing.outcomes) == (None, None, Outcomes())
    assert rated.last_build is not None
    assert rated.last_build.id == last
    assert rated.outcomes == Outcomes(succeeded=RATED_BUILDS - 3, failed=2)
    assert rated.cache_bytes == 12, "what an untrusted build has is no part of it"


async def test_pages_by_name_have_each_project_once(database: Database) -> None:
    names = ["b", "B", "a", "b", "c%", "cX", "_"]
    async with database.write() as tx:
        ours = await organization(tx)
        ids = [await project(tx, ours, name) for name in names]
    seen: list[str] = []
    after: str | None = None
    while True:
        async with database.read() as tx:
            page = await list_project_overviews(tx, ours, "", PageRequest(2, after))
        seen += [one.project.id for one in page.items]
        after = page.next_token
        if after is None:
            break
    assert sorted(seen) == sorted(ids)
    shown = [names[ids.index(one)].lower() for one in seen]
    assert shown == sorted(shown)
    async with database.read() as tx:
        found = {
            wanted: {one.project.id for one in (await list_project_overviews(tx, ours, wanted, ALL)).items}
            for wanted in ("B", "%", "_", ids[0], "nowhere")
        }
    assert found == {"B": {ids[0], ids[1], ids[3]}, "%": {ids[4]}, "_": {ids[6]}, ids[0]: {ids[0]}, "nowhere": set()}


async def test_more_projects_take_no_more_statements(database: Database) -> None:
    async with database.write() as tx:
        ours = await organization(tx)
        for number in range(60):
            one = await project(tx, ours, f"service-{number}")
            await build(tx, ours, one, "succeeded", NOW)

    async def statements(size: int) -> int:
        with counted_statements() as said:
            async with database.read() as tx:
                page = await list_project_overviews(tx, ours, "", PageRequest(size, None))
                await organization_figures(tx, [ours], WEEK_AGO, 5)
        assert len(page.items) == size
        return len(said)

    assert await statements(1) == await statements(60)


async def test_places_in_the_queue_are_of_an_organization(database: Database) -> None:
    async with database.write() as tx:
        found: dict[str, int] = {}
        for _ in range(2):
            ours = await organization(tx)
            web = await project(tx, ours, "web")
            for place in (1, 2, 3):
                at = NOW + timedelta(minutes=place)
                made = await build(tx, ours, web, "running", at)
                await add_waiting(tx, Waiting(an_id(at), made, Platform.AMD64, ours, web, at, at))
                found[made] = place
    async with database.read() as tx:
        assert await positions_of_builds(tx, list(found)) == found
