"""Store what is recorded of builds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput
from stoker.domain.ledger import BuildBudget, RecordLimits, SolveLedger
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
from stoker.store import solves as solve_store
from stoker.store import step_logs as log_store
from stoker.store import steps as step_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stoker.domain.machines import Machine
    from stoker.domain.principals import Principal
    from stoker.domain.progress import Progress
    from stoker.domain.solve_history import SolveHistory
    from stoker.domain.steps import Solve, Step, Timing
    from stoker.services.core import Core
    from stoker.store.database import Transaction

_REMEMBERED_BUDGETS = 10_000
_MOST_DOCKERFILES = 100
_MOST_TIMINGS = 20_000
_FORGOTTEN_AT_ONCE = 20


class RecordingService:
    """The use cases of recording."""

    def __init__(self, core: Core, limits: RecordLimits, retention: timedelta) -> None:
        """Record builds of ``core``.

        Args:
            core: what every service needs.
            limits: how much is kept of a build.
            retention: for how long after a build's end.
        """
        self._core = core
        self._limits = limits
        self._retention = retention
        self._budgets: OrderedDict[str, BuildBudget] = OrderedDict()
        self._reporting = asyncio.Lock()

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
        """A ledger that begins with what is stored of a solve."""
        async with self._core.database.read() as tx:
            return SolveLedger(
                build_id=solve.build_id,
                ref=solve.ref,
                platform=solve.platform,
                limits=self._limits,
                budget=await self._budget(tx, solve.build_id),
                stored=await step_store.steps_of_solve(tx, solve.build_id, solve.ref),
            )

    async def store(self, solve: Solve, ledger: SolveLedger, *, final: bool = False) -> None:
        """Store what is new in a ledger, all of it or nothing."""
        async with self._core.database.write() as tx:
            await self._store(tx, solve.build_id, solve.project_id, ledger, final=final)
        self._core.wakeups.wake(record_topic(solve.build_id), builds_topic(solve.project_id))

    async def room_for_attestations(self, solve: Solve) -> int:
        """How many bytes of attestations may still be kept of a solve's build."""
        async with self._core.database.read() as tx:
            kept = await attestation_store.kept_attestation_bytes(tx, solve.build_id)
        return max(0, self._limits.attestation_bytes - kept)

    async def store_history(self, solve: Solve, history: SolveHistory) -> None:
        """Store what BuildKit kept of a solve."""
        dockerfiles = [
            Dockerfile(solve.build_id, "", name[:1024], contents)
            for name, contents in history.dockerfiles[:_MOST_DOCKERFILES]
            if len(contents) <= self._limits.dockerfile_bytes
        ]
        async with self._core.database.write() as tx:
            # What the client itself sent says more, as it has the target's name.
            if not await note_store.dockerfiles_of(tx, solve.build_id):
                await note_store.save_dockerfiles(tx, dockerfiles, replace=False)
            await attestation_store.add_attestations(tx, solve.build_id, solve.ref, history.attestations)
            if history.secrets:
                steps = await step_store.steps_of_solve(tx, solve.build_id, solve.ref)
                masked = [_without(step, history.secrets) for step in steps]
                changed = [new for old, new in zip(steps, masked, strict=True) if new != old]
                await step_store.save_steps(tx, solve.project_id, changed)

    async def end(self, solve: Solve, error: str | None) -> None:
        """The record of a solve has all that there is; with an error, not all that there was."""
        async with self._core.database.write() as tx:
            await solve_store.end_record(tx, solve.ref, error)
            steps = await step_store.steps_of_solve(tx, solve.build_id, solve.ref)
            durations = await step_store.last_durations(
                tx, solve.project_id, [step.work_key for step in steps if step.cached]
            )
            await step_store.save_savings(
                tx,
                solve.build_id,
                {step.number: durations[step.work_key] for step in steps if step.work_key in durations and step.cached},
            )
            found = (await step_store.work_of_builds(tx, [solve.build_id])).get(solve.build_id)
            if found is not None:
                await work_store.save_work(tx, solve.build_id, found[0])
        self._core.wakeups.wake(record_topic(solve.build_id), builds_topic(solve.project_id))

    async def report_progress(self, principal: Principal, build_id: str, progress: Iterable[Progress]) -> None:
        """Take what a build's client says of its own work, such as that it connects.

        Raises:
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._reporting:
            async with self._core.database.read() as tx:
                build = await require_build(tx, principal, build_id)
                ledger = SolveLedger(
                    build_id=build.id,
                    ref=CLIENT_REF,
                    platform="",
                    limits=self._limits,
                    budget=await self._budget(tx, build.id),
                    stored=await step_store.steps_of_solve(tx, build.id, CLIENT_REF),
                    replays=False,
                )
            for one in progress:
                ledger.apply(one)
            async with self._core.database.write() as tx:
                await self._store(tx, build.id, build.project_id, ledger, final=True)
        self._core.wakeups.wake(record_topic(build.id), builds_topic(build.project_id))

    async def report_timings(self, principal: Principal, build_id: str, timings: Sequence[Timing]) -> None:
        """Take what a build's client says of its steps.

        Raises:
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._core.database.write() as tx:
            build = await require_build(tx, principal, build_id)
            await note_store.add_timings(tx, build.id, timings, _MOST_TIMINGS)
        self._core.wakeups.wake(record_topic(build.id), builds_topic(build.project_id))

    async def report_dockerfiles(
        self, principal: Principal, build_id: str, dockerfiles: Sequence[tuple[str, str, str]]
    ) -> None:
        """Take a build's Dockerfiles: target, name and contents of each.

        Raises:
            InvalidInput: they are too many.
            NotFound: there is no such build, or it isn't the caller's.
        """
        if len(dockerfiles) > _MOST_DOCKERFILES:
            raise InvalidInput(f"these are {len(dockerfiles)} Dockerfiles; report at most {_MOST_DOCKERFILES}")
        async with self._core.database.write() as tx:
            build = await require_build(tx, principal, build_id)
            kept = [
                Dockerfile(build.id, target[:256], filename[:1024], contents)
                for target, filename, contents in dockerfiles
                if len(contents) <= self._limits.dockerfile_bytes
            ]
            await note_store.save_dockerfiles(tx, kept, replace=True)
        self._core.wakeups.wake(record_topic(build.id), builds_topic(build.project_id))

    async def forget_old(self) -> int:
        """Remove the records of some builds that ended long ago; of how many."""
        before = self._core.now() - self._retention
        async with self._core.database.read() as tx:
            old = await old_records.builds_with_old_records(tx, before, _FORGOTTEN_AT_ONCE)
        if old:
            async with self._core.database.write() as tx:
                await log_store.forget_lines(tx, old)
                await step_store.forget_steps(tx, old)
                await note_store.forget_notes(tx, old)
                await attestation_store.forget_attestations(tx, old)
        return len(old)

    async def _budget(self, tx: Transaction, build_id: str) -> BuildBudget:
        found = self._budgets.get(build_id)
        if found is None:
            steps = await step_store.last_step_number(tx, build_id)
            found = self._budgets[build_id] = BuildBudget(steps, await log_store.kept_log_bytes(tx, build_id))
        self._budgets.move_to_end(build_id)
        while len(self._budgets) > _REMEMBERED_BUDGETS:
            self._budgets.popitem(last=False)
        return found

    async def _store(
        self, tx: Transaction, build_id: str, project_id: str, ledger: SolveLedger, *, final: bool
    ) -> None:
        batch = ledger.take(final=final)
        await step_store.save_steps(tx, project_id, batch.steps)
        await log_store.add_lines(tx, build_id, batch.lines)
        await note_store.add_warnings(tx, batch.warnings)
        await note_store.save_dockerfiles(tx, batch.dockerfiles, replace=False)
        if batch.dropped_steps:
            await solve_store.save_dropped_steps(tx, ledger.ref, batch.dropped_steps)


def _without(step: Step, secrets: Sequence[str]) -> Step:
    """A step whose texts don't have the values of secrets. Its work's key stays, so that builds can be compared."""
    return replace(
        step,
        name=mask_values(step.name, secrets),
        group=mask_values(step.group, secrets),
        error=None if step.error is None else mask_values(step.error, secrets),
    )
