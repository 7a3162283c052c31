"""What a build's client reports: progress and timings of its own work, and Dockerfiles."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from stoker.domain.errors import FailedPrecondition
from stoker.domain.kept_steps import KeptSteps
from stoker.domain.ledger import SolveLedger, digests_of
from stoker.domain.pacing import Pace
from stoker.domain.record_limits import RecordSize, dockerfile_cost, timing_cost
from stoker.domain.steps import CLIENT_REF, Dockerfile
from stoker.services.lookup import require_build
from stoker.services.record_writer import LONGEST_FILENAME, masked_dockerfiles
from stoker.store import build_notes as note_store
from stoker.store import record_sizes as size_store
from stoker.store import steps as step_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from datetime import timedelta

    from stoker.domain.builds import Build
    from stoker.domain.principals import Principal
    from stoker.domain.progress import Progress
    from stoker.domain.record_limits import RecordBudget
    from stoker.domain.steps import Timing
    from stoker.services.core import Core
    from stoker.services.record_writer import OpenRecord, RecordWriter

_PENDING_REPORT_BYTES = 256 * 1024
_LONGEST_TARGET = 256


class ReportService:
    """Stores what clients report of their builds."""

    def __init__(self, core: Core, writer: RecordWriter, reports_after_end: timedelta) -> None:
        """Store reports.

        Args:
            core: what every service needs.
            writer: stores records.
            reports_after_end: how long after a build's end reports are taken.
        """
        self._core = core
        self._writer = writer
        self._reports_after_end = reports_after_end
        self._pace = Pace()
        self._reporting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def report_progress(self, principal: Principal, build_id: str, progress: Iterable[Progress]) -> None:
        """Store what a build's client reports of its own work, such as that it connects.

        What exceeds the limits is left out, and the record says so.

        Raises:
            FailedPrecondition: the build has ended, and this isn't its own token, or is too late.
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._report(principal, build_id) as (build, record, budget):
            kept = KeptSteps(build.id, "", budget, record.numbers)
            ledger = SolveLedger(CLIENT_REF, "", build.id, kept, replays=False)
            began = perf_counter()
            for one in progress:
                async with self._core.database.read() as tx:
                    for step in await step_store.steps_of_digests(tx, build.id, CLIENT_REF, digests_of(one)):
                        kept.add_stored(step)
                began = await self._pace.rest(began)
                for _ in ledger.applying(one):
                    if ledger.pending_bytes > _PENDING_REPORT_BYTES:
                        await self._writer.store(build.id, build.project_id, ledger, final=False, is_trusted=False)
                        began = perf_counter()
                    began = await self._pace.rest(began)
            await self._writer.store(build.id, build.project_id, ledger, final=True, is_trusted=False)

    async def report_timings(self, principal: Principal, build_id: str, timings: Iterable[Timing]) -> None:
        """Store what a build's client reports of its steps.

        What exceeds the limits is left out, and the record says so.

        Raises:
            FailedPrecondition: the build has ended, and this isn't its own token, or is too late.
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._report(principal, build_id) as (build, _, budget):
            kept: list[Timing] = []
            began = perf_counter()
            for one in timings:
                if budget.has_room(timing_cost(one)):
                    kept.append(one)
                began = await self._pace.rest(began)
            async with self._core.database.write() as tx:
                await tx.lock(Lock.BUILD, build.id)
                await note_store.add_timings(tx, build.id, kept)
                growth = RecordSize(kept_bytes=sum(map(timing_cost, kept)), left_out=budget.new_left_out)
                await size_store.grow_record(tx, build.id, growth, is_reported=True)

    async def report_dockerfiles(
        self, principal: Principal, build_id: str, dockerfiles: Iterable[tuple[str, str, str]]
    ) -> None:
        """Store a build's Dockerfiles: target, name and contents of each.

        What exceeds the limits is left out, and the record says so.

        Raises:
            FailedPrecondition: the build has ended, and this isn't its own token, or is too late.
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._report(principal, build_id) as (build, _, budget):
            kept: list[Dockerfile] = []
            began = perf_counter()
            for target, filename, contents in dockerfiles:
                one = Dockerfile(build.id, target[:_LONGEST_TARGET], filename[:LONGEST_FILENAME], contents)
                if budget.takes_dockerfile(one, replace=True):
                    kept.append(one)
                began = await self._pace.rest(began)
            masked = await masked_dockerfiles(kept)
            async with self._core.database.write() as tx:
                await tx.lock(Lock.BUILD, build.id)
                await note_store.save_dockerfiles(tx, masked, replace=True)
                growth = RecordSize(kept_bytes=sum(map(dockerfile_cost, kept)), left_out=budget.new_left_out)
                await size_store.grow_record(tx, build.id, growth, is_reported=True)

    @asynccontextmanager
    async def _report(
        self, principal: Principal, build_id: str
    ) -> AsyncGenerator[tuple[Build, OpenRecord, RecordBudget]]:
        """The build of a report, its open record, and the budget of what its client may still report.

        Reports of a build wait for each other, but not for those of other builds. Readers are woken after each.
        """
        async with self._reporting.setdefault(build_id, asyncio.Lock()):
            async with self._writer.opening() as tx:
                build = await require_build(tx, principal, build_id)
                self._require_reportable(principal, build)
                record = await self._writer.record(tx, build.id)
                budget = await self._writer.budget(tx, build.id, is_reported=True)
            yield build, record, budget
        self._writer.wake_readers(build.id, build.project_id)

    def _require_reportable(self, principal: Principal, build: Build) -> None:
        if build.finished_at is None:
            return
        if principal.build_id != build.id:
            raise FailedPrecondition(
                f"build {build.id} has ended, so only its own token may report of it; use the one that came with it"
            )
        if self._core.now() - build.finished_at > self._reports_after_end:
            seconds = round(self._reports_after_end.total_seconds())
            raise FailedPrecondition(f"build {build.id} ended more than {seconds} seconds ago; report before that")
