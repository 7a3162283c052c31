"""What was recorded of builds, for whoever may see them.

Methods take a principal and check what it may see, or a `ReadableBuild`, which is the outcome of such a check.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stoker.domain.build_work import BuildWork
from stoker.domain.errors import InvalidInput, NotFound
from stoker.domain.pagination import Page
from stoker.domain.step_filter import ALL_STEPS
from stoker.domain.steps import Found, RecordState, RecordSummary, may_log_more, record_state
from stoker.services.lookup import require_build
from stoker.services.wakeups import build_topic, record_topic
from stoker.store import attestations as attestation_store
from stoker.store import build_notes as note_store
from stoker.store import builds as build_store
from stoker.store import record_sizes as size_store
from stoker.store import solves as solve_store
from stoker.store import step_logs as log_store
from stoker.store import step_work as step_work_store
from stoker.store import steps as step_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from stoker.domain.builds import Build
    from stoker.domain.pagination import NumberedPageRequest
    from stoker.domain.principals import Principal
    from stoker.domain.solve_history import Attestation
    from stoker.domain.step_filter import StepFilter
    from stoker.domain.steps import BuildWarning, Dockerfile, LogLine, Solve, Step
    from stoker.domain.text_search import TextSearch
    from stoker.services.core import Core
    from stoker.services.lookup import MemberBuild, ReadableBuild
    from stoker.services.wakeups import Subscription
    from stoker.store.attestations import AttestationNote
    from stoker.store.database import Transaction

MAX_LINES = 10_000
_MAX_DIGEST_LENGTH = 256
_MOST_FAILED = 1000
_MOST_RUNNING = 1000


class RecordService:
    """The use cases of reading records."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._searching = asyncio.Lock()

    async def list_steps(
        self, principal: Principal, project_id: str, build_id: str, page: NumberedPageRequest
    ) -> Page[Step]:
        """A page of a build's steps, in the order in which they were first seen.

        Raises:
            NotFound: there is no such build in the project, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            build = await _require_build_of(tx, principal, project_id, build_id)
            items, has_more = await step_store.list_steps(tx, build.id, page.size, page.after or 0)
        return Page(tuple(items), str(items[-1].number) if has_more else None)

    async def list_lines(
        self, principal: Principal, project_id: str, build_id: str, digest: str, page: NumberedPageRequest
    ) -> Page[LogLine]:
        """A page of the log of a build's step.

        Raises:
            InvalidInput: the digest is empty or too long.
            NotFound: there is no such step or build in the project, or it isn't the caller's.
        """
        if not 0 < len(digest) <= _MAX_DIGEST_LENGTH:
            raise InvalidInput("build_step_digest is not a step's digest; get the build's steps to see them")
        async with self._core.database.read() as tx:
            build = await _require_build_of(tx, principal, project_id, build_id)
            step = await step_store.find_step(tx, build.id, digest)
            if step is None:
                raise NotFound(f"build {build.id} has no step with that digest; get its steps to see them")
            first = 0 if page.after is None else page.after + 1
            found = await log_store.read_lines(tx, build.id, step.number, first, page.size + 1)
        items = tuple(found[: page.size])
        return Page(items, str(items[-1].number) if len(found) > page.size else None)

    async def summaries(self, builds: Sequence[ReadableBuild]) -> dict[str, RecordSummary]:
        """How much was recorded of each of these builds, by their ids."""
        ids = [build.id for build in builds]
        async with self._core.database.read() as tx:
            work = await step_work_store.work_of_builds(tx, ids)
            solves = await solve_store.solves_of_builds(tx, ids)
            left_out = await size_store.left_out_of_builds(tx, ids)
        return {
            id_: _summary(*work.get(id_, (BuildWork(), 0)), solves.get(id_, ()), left_out.get(id_, 0)) for id_ in ids
        }

    async def summary_of(self, build: ReadableBuild) -> RecordSummary:
        """How much was recorded of a build."""
        return (await self.summaries([build]))[build.id]

    async def steps_of(
        self, build: ReadableBuild, size: int, after: int = 0, wanted: StepFilter = ALL_STEPS
    ) -> tuple[list[Step], bool]:
        """Up to ``size`` of the next wanted steps of a build after a number, and whether there are more."""
        async with self._core.database.read() as tx:
            return await step_store.list_steps(tx, build.id, size, after, wanted)

    async def failed_steps_of(self, build: ReadableBuild) -> list[Step]:
        """The steps of a build that have an error, those that ended first, wherever they are among its steps."""
        async with self._core.database.read() as tx:
            return await step_store.failed_steps(tx, build.id, _MOST_FAILED)

    async def running_steps_of(self, build: ReadableBuild) -> list[Step]:
        """The steps of a build that run now, those that began first, wherever they are among its steps."""
        async with self._core.database.read() as tx:
            return await step_store.running_steps(tx, build.id, _MOST_RUNNING)

    async def step_of(self, build: ReadableBuild, number: int) -> Step:
        """One step of a build.

        Raises:
            NotFound: there is none of that number.
        """
        async with self._core.database.read() as tx:
            step = await step_store.step_of_number(tx, build.id, number)
        if step is None:
            raise NotFound(f"build {build.id} has no step {number}; look at its page for those that it has")
        return step

    async def neighbours_of(self, build: ReadableBuild, number: int) -> tuple[int | None, int | None]:
        """The numbers of the steps before and after a step of a build, as far as there are any."""
        async with self._core.database.read() as tx:
            return await step_store.neighbours_of(tx, build.id, number)

    async def lines_of(self, build: ReadableBuild, step_number: int, first: int, size: int) -> list[LogLine]:
        """Up to ``size`` (and `MAX_LINES`) lines of a step's log from the line ``first`` on."""
        async with self._core.database.read() as tx:
            return await log_store.read_lines(tx, build.id, step_number, first, min(size, MAX_LINES))

    async def tails_of(
        self, build: ReadableBuild, steps: Sequence[Step], size: int, most: int
    ) -> dict[int, list[LogLine]]:
        """The ends of steps' logs by the steps' numbers: up to ``size`` lines of each, and about ``most`` of all.

        Steps whose turn comes when there are as many lines are left out.
        """
        wanted: dict[int, int] = {}
        room = most
        for step in steps:
            if room <= 0:
                break
            if step.log_lines:
                lines = min(size, room, step.log_lines)
                wanted[step.number] = step.log_lines - lines
                room -= lines
        async with self._core.database.read() as tx:
            return await log_store.read_ends(tx, build.id, wanted)

    async def search(
        self, build: ReadableBuild, search: TextSearch, most_hits: int, most_bytes: int
    ) -> tuple[list[Found], bool]:
        """Lines of a build's logs that show a text, and whether all of the logs were looked at."""
        # One at a time, as each may take a CPU for a while.
        async with self._searching, self._core.database.read() as tx:
            hits, is_whole = await log_store.search_lines(tx, build.id, search, most_hits, most_bytes)
            names = await step_store.names_of(tx, build.id, {number for number, _ in hits})
        return [Found(number, names.get(number, ""), line) for number, line in hits], is_whole

    async def search_step(
        self, build: ReadableBuild, number: int, search: TextSearch, most_hits: int, most_bytes: int
    ) -> tuple[list[int], bool]:
        """The numbers of the lines of a step's log that show a text, and whether all of it was looked at."""
        async with self._searching, self._core.database.read() as tx:
            return await log_store.search_step(tx, build.id, number, search, most_hits, most_bytes)

    async def warnings_of(self, build: ReadableBuild) -> list[BuildWarning]:
        """What BuildKit and its Dockerfile linter warned of in a build, in the order of the Dockerfile's lines."""
        async with self._core.database.read() as tx:
            return await note_store.warnings_of(tx, build.id)

    async def warnings(self, principal: Principal, build_id: str) -> list[BuildWarning]:
        """The same of a build that the caller may see.

        Raises:
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            build = await require_build(tx, principal, build_id)
            return await note_store.warnings_of(tx, build.id)

    async def dockerfiles_of(self, build: ReadableBuild) -> list[Dockerfile]:
        """The Dockerfiles of a build, as far as they are known."""
        async with self._core.database.read() as tx:
            return await note_store.dockerfiles_of(tx, build.id)

    async def attestations_of(self, build: MemberBuild) -> list[AttestationNote]:
        """What was attested of a build, such as its provenance, without the documents."""
        async with self._core.database.read() as tx:
            return await attestation_store.attestations_of(tx, build.id)

    async def attestation_of(self, build: MemberBuild, number: int) -> Attestation:
        """One document that was attested of a build.

        Raises:
            NotFound: there is none of that number.
        """
        async with self._core.database.read() as tx:
            found = await attestation_store.find_attestation(tx, build.id, number)
        if found is None:
            raise NotFound(f"build {build.id} has no attestation {number}; look at its page for those that it has")
        return found

    async def may_grow(self, build: ReadableBuild) -> bool:
        """Whether more may come of a build: it isn't over, or its record is not yet at its end."""
        async with self._core.database.read() as tx:
            now = await build_store.find_build(tx, build.id)
            if now is None or not now.status.finished:
                return now is not None
            solves = (await solve_store.solves_of_builds(tx, [build.id])).get(build.id, ())
        return record_state(solves) is RecordState.FOLLOWING

    async def step_may_grow(self, build: ReadableBuild, number: int) -> bool:
        """Whether more may come of a step of a build."""
        async with self._core.database.read() as tx:
            step = await step_store.step_of_number(tx, build.id, number)
        return step is not None and may_log_more(step, self._core.now()) and await self.may_grow(build)

    def follow(self, build: ReadableBuild) -> AbstractContextManager[Subscription]:
        """Wake-ups for a reader who follows a build live: subscribe, then look, wait, and look again for what came.

        However many follow, they cost the build nothing.
        """
        return self._core.wakeups.subscribe(record_topic(build.id), build_topic(build.id))


async def _require_build_of(tx: Transaction, principal: Principal, project_id: str, build_id: str) -> Build:
    build = await require_build(tx, principal, build_id)
    if project_id and project_id != build.project_id:
        raise NotFound(f"build {build.id} is not one of project {project_id}; leave project_id out, or correct it")
    return build


def _summary(work: BuildWork, dropped_bytes: int, solves: Sequence[Solve], left_out: int) -> RecordSummary:
    recorded = [solve for solve in solves if solve.record is not None]
    missing = [solve.record_error or "" for solve in recorded if solve.record is RecordState.INCOMPLETE]
    return RecordSummary(
        state=record_state(recorded),
        missing=tuple(dict.fromkeys(filter(None, missing))),
        work=work,
        dropped_bytes=dropped_bytes,
        dropped_steps=sum(solve.dropped_steps for solve in recorded),
        left_out=left_out,
        first_solve_at=min((solve.created_at for solve in solves), default=None),
    )
