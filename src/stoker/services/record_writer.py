"""Store what is recorded of builds."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from stoker.domain.depot_names import unsendable_name
from stoker.domain.dockerfile import mask_dockerfile
from stoker.domain.errors import FailedPrecondition
from stoker.domain.kept_steps import KeptSteps, StepNumbers
from stoker.domain.ledger import SolveLedger, digests_of
from stoker.domain.pacing import Pace
from stoker.domain.record_limits import RecordBudget, RecordSize, dockerfile_cost, timing_cost
from stoker.domain.solve_history import mask_values
from stoker.domain.steps import CLIENT_REF, Dockerfile
from stoker.services.lookup import require_build
from stoker.services.wakeups import builds_topic, record_topic
from stoker.store import attestations as attestation_store
from stoker.store import build_notes as note_store
from stoker.store import build_work as work_store
from stoker.store import builds as build_store
from stoker.store import machines as machine_store
from stoker.store import old_records
from stoker.store import record_sizes as size_store
from stoker.store import solves as solve_store
from stoker.store import step_logs as log_store
from stoker.store import step_work as step_work_store
from stoker.store import steps as step_store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from stoker.domain.builds import Build
    from stoker.domain.machines import Machine
    from stoker.domain.principals import Principal
    from stoker.domain.progress import Progress
    from stoker.domain.solve_history import SolveHistory
    from stoker.domain.steps import Solve, Step, Timing
    from stoker.services.core import Core
    from stoker.settings.records import RecordSettings
    from stoker.store.database import Transaction

_DELETED_AT_ONCE = 20
_REPORTED_AT_ONCE = 250
_PENDING_REPORT_BYTES = 256 * 1024
_FAILED_STEPS_READ = 20
_LONGEST_NAME = 1024


@dataclass
class _OpenRecord:
    """What all ledgers of a build share, for as long as there is one.

    Attributes:
        machines: the steps of each machine by the machine's id.
    """

    budget: RecordBudget
    numbers: StepNumbers
    machines: dict[str, KeptSteps] = field(default_factory=dict[str, "KeptSteps"])


class RecordWriter:
    """The use cases of recording."""

    def __init__(
        self,
        core: Core,
        settings: RecordSettings,
        native: frozenset[str] = frozenset(),
    ) -> None:
        """Record builds of ``core``.

        Args:
            core: what every service needs.
            settings: how much is kept of a build, and how long.
            native: the architectures that machines' hosts run themselves.
        """
        self._core = core
        self._limits = settings.limits
        self._retention = settings.lifetime
        self._reports_after_end = settings.report_grace
        self._native = native
        self._pace = Pace()
        self._opening = asyncio.Lock()
        # As long as a ledger has one, it is the only one of its build: numbers are given once.
        self._records: WeakValueDictionary[str, _OpenRecord] = WeakValueDictionary()
        self._ledgers: WeakKeyDictionary[SolveLedger, _OpenRecord] = WeakKeyDictionary()
        self._reporting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def followed_solves(self) -> list[Solve]:
        """All solves whose record isn't at its end."""
        async with self._core.database.read() as tx:
            return await solve_store.followed_solves(tx)

    async def has_ended(self, build_id: str) -> bool:
        """Whether a build has ended, or is gone with its project."""
        async with self._core.database.read() as tx:
            build = await build_store.find_build(tx, build_id)
        return build is None or build.status.finished

    async def machine_of(self, solve: Solve) -> Machine | None:
        """The machine of a solve, as it is now."""
        async with self._core.database.read() as tx:
            return await machine_store.find_machine(tx, solve.machine_id)

    async def open_ledger(self, solve: Solve) -> SolveLedger:
        """A ledger that begins with what is stored of a solve. Close it when nothing more comes by it."""
        async with self._opening, self._core.database.read() as tx:
            record = await self._record(tx, solve.build_id)
            kept = record.machines.get(solve.machine_id)
            if kept is None:
                stored = await step_store.steps_of_machine(tx, solve.build_id, solve.machine_id)
                kept = KeptSteps(solve.build_id, solve.platform, record.budget, record.numbers, stored)
                record.machines[solve.machine_id] = kept
        ledger = SolveLedger(solve.ref, solve.platform, solve.build_id, kept, native=self._native)
        self._ledgers[ledger] = record
        return ledger

    async def store(self, solve: Solve, ledger: SolveLedger, *, final: bool = False) -> None:
        """Store what is new in a ledger, a part after the other, each of them whole or not at all."""
        await self._store(solve.build_id, solve.project_id, ledger, final=final, is_trusted=not solve.is_untrusted)
        self._core.wakeups.wake(record_topic(solve.build_id), builds_topic(solve.project_id))

    async def room_for_attestations(self, solve: Solve) -> int:
        """How many bytes of attestations may still be kept of a solve's build."""
        async with self._core.database.read() as tx:
            kept = await attestation_store.kept_attestation_bytes(tx, solve.build_id)
        return max(0, self._limits.attestation_bytes - kept)

    async def store_history(self, solve: Solve, history: SolveHistory) -> None:
        """Store what BuildKit kept of a solve."""
        async with self._opening, self._core.database.read() as tx:
            record = await self._record(tx, solve.build_id)
            names = await note_store.dockerfile_names(tx, solve.build_id)
        # What the client itself sent says more, as it has the target's name.
        found = () if names else history.dockerfiles
        dockerfiles = [Dockerfile(solve.build_id, "", name[:_LONGEST_NAME], contents) for name, contents in found]
        kept = [one for one in dockerfiles if record.budget.takes_dockerfile(one)]
        masked = await _masked(kept)
        async with self._core.database.write() as tx:
            await note_store.save_dockerfiles(tx, masked, replace=False)
            growth = RecordSize(kept_bytes=sum(map(dockerfile_cost, kept)))
            await size_store.grow_record(tx, solve.build_id, growth, is_reported=False)
            await attestation_store.add_attestations(tx, solve.build_id, solve.ref, history.attestations)
        if history.secrets:
            await self._mask(solve, record, history.secrets)

    async def end(self, solve: Solve, error: str | None) -> None:
        """The record of a solve has all that there is; with an error, not all that there was."""
        # What takes long is read before the transaction, for which everybody else who writes waits.
        async with self._core.database.read() as tx:
            saved = await step_work_store.new_savings(tx, solve.project_id, solve.build_id)
        async with self._core.database.write() as tx:
            await step_work_store.save_savings(tx, solve.build_id, saved)
        async with self._core.database.read() as tx:
            found = (await step_work_store.work_of_builds(tx, [solve.build_id])).get(solve.build_id)
            failed = await step_store.failed_steps(tx, solve.build_id, _FAILED_STEPS_READ)
            reported = await step_store.client_steps(tx, solve.build_id) if failed else []
        warning = unsendable_name(solve.build_id, solve.ref, failed, reported)
        async with self._core.database.write() as tx:
            await solve_store.end_record(tx, solve.ref, error)
            if warning is not None:
                await note_store.add_warnings(tx, [warning])
            if found is not None:
                await work_store.save_work(tx, solve.build_id, found[0], is_trusted=not solve.is_untrusted)
        self._core.wakeups.wake(record_topic(solve.build_id), builds_topic(solve.project_id))

    async def report_progress(self, principal: Principal, build_id: str, progress: Iterable[Progress]) -> None:
        """Take what a build's client says of its own work, such as that it connects.

        What is more than is kept of it is left out, and the record says so.

        Raises:
            FailedPrecondition: the build has ended, and this isn't its own token, or is too late.
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._reports_of(build_id), self._opening_record(principal, build_id) as (build, record, budget):
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
                        await self._store(build.id, build.project_id, ledger, final=False, is_trusted=False)
                        began = perf_counter()
                    began = await self._pace.rest(began)
            await self._store(build.id, build.project_id, ledger, final=True, is_trusted=False)
        self._core.wakeups.wake(record_topic(build.id), builds_topic(build.project_id))

    async def report_timings(self, principal: Principal, build_id: str, timings: Iterable[Timing]) -> None:
        """Take what a build's client says of its steps. What is more than is kept is left out, and the record says so.

        Raises:
            FailedPrecondition: the build has ended, and this isn't its own token, or is too late.
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._reports_of(build_id), self._opening_record(principal, build_id) as (build, _, budget):
            kept: list[Timing] = []
            began = perf_counter()
            for one in timings:
                if budget.has_room(timing_cost(one)):
                    kept.append(one)
                began = await self._pace.rest(began)
            async with self._core.database.write() as tx:
                await note_store.add_timings(tx, build.id, kept)
                growth = RecordSize(kept_bytes=sum(map(timing_cost, kept)), left_out=budget.new_left_out)
                await size_store.grow_record(tx, build.id, growth, is_reported=True)
        self._core.wakeups.wake(record_topic(build.id), builds_topic(build.project_id))

    async def report_dockerfiles(
        self, principal: Principal, build_id: str, dockerfiles: Iterable[tuple[str, str, str]]
    ) -> None:
        """Take a build's Dockerfiles: target, name and contents of each.

        What is more than is kept is left out, and the record says so.

        Raises:
            FailedPrecondition: the build has ended, and this isn't its own token, or is too late.
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._reports_of(build_id), self._opening_record(principal, build_id) as (build, _, budget):
            kept: list[Dockerfile] = []
            began = perf_counter()
            for target, filename, contents in dockerfiles:
                one = Dockerfile(build.id, target[:256], filename[:_LONGEST_NAME], contents)
                if budget.takes_dockerfile(one, replace=True):
                    kept.append(one)
                began = await self._pace.rest(began)
            masked = await _masked(kept)
            async with self._core.database.write() as tx:
                await note_store.save_dockerfiles(tx, masked, replace=True)
                growth = RecordSize(kept_bytes=sum(map(dockerfile_cost, kept)), left_out=budget.new_left_out)
                await size_store.grow_record(tx, build.id, growth, is_reported=True)
        self._core.wakeups.wake(record_topic(build.id), builds_topic(build.project_id))

    async def delete_old(self) -> int:
        """Remove the records of some builds that ended long ago; of how many."""
        before = self._core.now() - self._retention
        async with self._core.database.read() as tx:
            old = await old_records.builds_with_old_records(tx, before, _DELETED_AT_ONCE)
        if old:
            async with self._core.database.write() as tx:
                await log_store.delete_lines(tx, old)
                await step_store.delete_steps(tx, old)
                await note_store.delete_notes(tx, old)
                await attestation_store.delete_attestations(tx, old)
                await size_store.delete_sizes(tx, old)
        return len(old)

    async def _record(self, tx: Transaction, build_id: str) -> _OpenRecord:
        """What all ledgers of a build share; the caller holds the lock of opening."""
        found = self._records.get(build_id)
        if found is None:
            budget = RecordBudget(
                self._limits.of_machines,
                await size_store.size_of_record(tx, build_id, is_reported=False),
                warnings=await note_store.warning_fingerprints(tx, build_id, is_reported=False),
                dockerfiles=await note_store.dockerfile_names(tx, build_id),
            )
            found = _OpenRecord(budget, StepNumbers(await step_store.last_step_number(tx, build_id)))
            self._records[build_id] = found
        return found

    def _reports_of(self, build_id: str) -> asyncio.Lock:
        """One report of a build after the other. Those of other builds don't wait for it."""
        return self._reporting.setdefault(build_id, asyncio.Lock())

    @asynccontextmanager
    async def _opening_record(
        self, principal: Principal, build_id: str
    ) -> AsyncGenerator[tuple[Build, _OpenRecord, RecordBudget]]:
        """The build of a report, what its ledgers share, and what is used up of what its client may report."""
        async with self._opening, self._core.database.read() as tx:
            build = await require_build(tx, principal, build_id)
            self._require_reportable(principal, build)
            record = await self._record(tx, build.id)
            budget = RecordBudget(
                self._limits.of_reports,
                await size_store.size_of_record(tx, build.id, is_reported=True),
                warnings=await note_store.warning_fingerprints(tx, build.id, is_reported=True),
                dockerfiles=await note_store.dockerfile_names(tx, build.id),
            )
        yield build, record, budget

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

    async def _mask(self, solve: Solve, record: _OpenRecord, secrets: Sequence[str]) -> None:
        kept = record.machines.get(solve.machine_id)
        if kept is not None:
            kept.mask(secrets)
        after = 0
        while True:
            async with self._core.database.read() as tx:
                steps = await step_store.some_steps(tx, solve.build_id, after, _REPORTED_AT_ONCE)
            if not steps:
                return
            after = steps[-1].number
            changed = [new for old in steps if (new := _without(old, secrets)) != old]
            async with self._core.database.write() as tx:
                await step_store.save_texts(tx, changed)

    async def _store(
        self, build_id: str, project_id: str, ledger: SolveLedger, *, final: bool, is_trusted: bool
    ) -> None:
        for batch in ledger.batches(final=final):
            if batch is None:
                await asyncio.sleep(0)
                continue
            try:
                dockerfiles = await _masked(batch.dockerfiles)
                async with self._core.database.write() as tx:
                    await step_store.save_steps(tx, project_id, batch.steps, is_trusted=is_trusted)
                    await log_store.add_lines(tx, build_id, batch.lines)
                    await note_store.add_warnings(tx, batch.warnings)
                    await note_store.save_dockerfiles(tx, dockerfiles, replace=False)
                    await size_store.grow_record(tx, build_id, batch.growth, is_reported=ledger.ref == CLIENT_REF)
                    if batch.dropped_steps:
                        await solve_store.save_dropped_steps(tx, ledger.ref, batch.dropped_steps)
            except BaseException:
                ledger.give_back(batch)
                raise


async def _masked(dockerfiles: Sequence[Dockerfile]) -> list[Dockerfile]:
    """Dockerfiles as they are stored. To mask large ones takes a while, so it isn't done on the event loop."""
    if not dockerfiles:
        return []
    contents = await asyncio.to_thread(lambda: [mask_dockerfile(one.contents) for one in dockerfiles])
    return [replace(one, contents=masked) for one, masked in zip(dockerfiles, contents, strict=True)]


def _without(step: Step, secrets: Sequence[str]) -> Step:
    """A step whose texts don't have the values of secrets. Its work's key stays, so that builds can be compared."""
    return replace(
        step,
        name=mask_values(step.name, secrets),
        group=mask_values(step.group, secrets),
        error=None if step.error is None else mask_values(step.error, secrets),
    )
