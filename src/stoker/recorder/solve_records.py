"""Opens and stores the records of solves for the recorder."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from stoker.domain.depot_names import unsendable_name
from stoker.domain.kept_steps import KeptSteps
from stoker.domain.ledger import SolveLedger
from stoker.domain.record_limits import RecordSize, dockerfile_cost
from stoker.domain.solve_history import masked_step
from stoker.domain.steps import Dockerfile
from stoker.services.record_writer import LONGEST_FILENAME, masked_dockerfiles
from stoker.store import attestations as attestation_store
from stoker.store import build_notes as note_store
from stoker.store import build_work as work_store
from stoker.store import builds as build_store
from stoker.store import machines as machine_store
from stoker.store import record_sizes as size_store
from stoker.store import solves as solve_store
from stoker.store import step_work as step_work_store
from stoker.store import steps as step_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.domain.machines import Machine
    from stoker.domain.record_limits import RecordLimits
    from stoker.domain.solve_history import SolveHistory
    from stoker.domain.steps import Solve
    from stoker.services.core import Core
    from stoker.services.record_writer import OpenRecord, RecordWriter

_MASKED_AT_ONCE = 250
_FAILED_STEPS_READ = 20


class SolveRecords:
    """The records of solves. Nothing here checks access: only the recorder uses it."""

    def __init__(
        self, core: Core, writer: RecordWriter, limits: RecordLimits, native: frozenset[str] = frozenset()
    ) -> None:
        """Record solves.

        Args:
            core: what every service needs.
            writer: stores records.
            limits: how much is kept of a build.
            native: the architectures that machines' hosts run themselves.
        """
        self._core = core
        self._writer = writer
        self._limits = limits
        self._native = native
        # Keeps the open record of a build for as long as one of its ledgers is used.
        self._ledgers: WeakKeyDictionary[SolveLedger, OpenRecord] = WeakKeyDictionary()

    async def followed_solves(self) -> list[Solve]:
        """All solves whose records are not complete."""
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
        """A ledger that begins with what is stored of a solve. Close it after use."""
        async with self._writer.opening() as tx:
            record = await self._writer.record(tx, solve.build_id)
            kept = record.machines.get(solve.machine_id)
            if kept is None:
                stored = await step_store.steps_of_machine(tx, solve.build_id, solve.machine_id)
                kept = KeptSteps(solve.build_id, solve.platform, record.budget, record.numbers, stored)
                record.machines[solve.machine_id] = kept
        ledger = SolveLedger(solve.ref, solve.platform, solve.build_id, kept, native=self._native)
        self._ledgers[ledger] = record
        return ledger

    async def store(self, solve: Solve, ledger: SolveLedger, *, final: bool = False) -> None:
        """Store what is new in a ledger, in parts. Each part is stored as a whole or not at all."""
        await self._writer.store(
            solve.build_id, solve.project_id, ledger, final=final, is_trusted=not solve.is_untrusted
        )
        self._writer.wake_readers(solve.build_id, solve.project_id)

    async def room_for_attestations(self, solve: Solve) -> int:
        """How many bytes of attestations may still be kept of a solve's build."""
        async with self._core.database.read() as tx:
            kept = await attestation_store.kept_attestation_bytes(tx, solve.build_id)
        return max(0, self._limits.attestation_bytes - kept)

    async def store_history(self, solve: Solve, history: SolveHistory) -> None:
        """Store what BuildKit kept of a solve."""
        async with self._writer.opening() as tx:
            record = await self._writer.record(tx, solve.build_id)
            names = await note_store.dockerfile_names(tx, solve.build_id)
        # What the client itself sent says more, as it has the target's name.
        found = () if names else history.dockerfiles
        dockerfiles = [Dockerfile(solve.build_id, "", name[:LONGEST_FILENAME], contents) for name, contents in found]
        kept = [one for one in dockerfiles if record.budget.takes_dockerfile(one)]
        masked = await masked_dockerfiles(kept)
        async with self._core.database.write() as tx:
            await tx.lock(Lock.BUILD, solve.build_id)
            await note_store.save_dockerfiles(tx, masked, replace=False)
            growth = RecordSize(kept_bytes=sum(map(dockerfile_cost, kept)))
            await size_store.grow_record(tx, solve.build_id, growth, is_reported=False)
            await attestation_store.add_attestations(tx, solve.build_id, solve.ref, history.attestations)
        if history.secrets:
            await self._mask(solve, record, history.secrets)

    async def end(self, solve: Solve, error: str | None) -> None:
        """Complete the record of a solve. ``error`` says why something is missing, if it is."""
        # What takes long is read before the transaction, for which everybody else who writes waits.
        async with self._core.database.read() as tx:
            saved = await step_work_store.new_savings(tx, solve.project_id, solve.build_id)
        async with self._core.database.write() as tx:
            await tx.lock(Lock.BUILD, solve.build_id)
            await step_work_store.save_savings(tx, solve.build_id, saved)
        async with self._core.database.read() as tx:
            found = (await step_work_store.work_of_builds(tx, [solve.build_id])).get(solve.build_id)
            failed = await step_store.failed_steps(tx, solve.build_id, _FAILED_STEPS_READ)
            reported = await step_store.client_steps(tx, solve.build_id) if failed else []
        warning = unsendable_name(solve.build_id, solve.ref, failed, reported)
        async with self._core.database.write() as tx:
            await tx.lock(Lock.BUILD, solve.build_id)
            await solve_store.end_record(tx, solve.ref, error)
            if warning is not None:
                await note_store.add_warnings(tx, [warning])
            if found is not None:
                await work_store.save_work(tx, solve.build_id, found[0], is_trusted=not solve.is_untrusted)
        self._writer.wake_readers(solve.build_id, solve.project_id)

    async def _mask(self, solve: Solve, record: OpenRecord, secrets: Sequence[str]) -> None:
        kept = record.machines.get(solve.machine_id)
        if kept is not None:
            kept.mask(secrets)
        after = 0
        while True:
            async with self._core.database.read() as tx:
                steps = await step_store.some_steps(tx, solve.build_id, after, _MASKED_AT_ONCE)
            if not steps:
                return
            after = steps[-1].number
            changed = [new for old in steps if (new := masked_step(old, secrets)) != old]
            async with self._core.database.write() as tx:
                await tx.lock(Lock.BUILD, solve.build_id)
                await step_store.save_texts(tx, changed)
