"""Writes the records of builds: what the recorder reads from machines, and what clients report."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from stoker.domain.dockerfile import mask_dockerfile
from stoker.domain.kept_steps import KeptSteps, StepNumbers
from stoker.domain.record_limits import RecordBudget
from stoker.domain.steps import CLIENT_REF, Dockerfile
from stoker.services.wakeups import builds_topic, record_topic
from stoker.store import build_notes as note_store
from stoker.store import record_sizes as size_store
from stoker.store import solves as solve_store
from stoker.store import step_logs as log_store
from stoker.store import steps as step_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from stoker.domain.ledger import SolveLedger
    from stoker.domain.record_limits import RecordLimits
    from stoker.services.core import Core
    from stoker.store.database import Transaction

LONGEST_FILENAME = 1024


@dataclass
class OpenRecord:
    """What all ledgers of a build share, for as long as there is one.

    Attributes:
        budget: what may still be stored of what machines say.
        numbers: gives each step its number.
        machines: the steps of each machine by the machine's id.
    """

    budget: RecordBudget
    numbers: StepNumbers
    machines: dict[str, KeptSteps] = field(default_factory=dict[str, "KeptSteps"])


class RecordWriter:
    """Stores what is new in ledgers. All ledgers of a build share one open record, so that numbers are given once."""

    def __init__(self, core: Core, limits: RecordLimits) -> None:
        self._core = core
        self._limits = limits
        self._opening = asyncio.Lock()
        self._records: WeakValueDictionary[str, OpenRecord] = WeakValueDictionary()

    @asynccontextmanager
    async def opening(self) -> AsyncGenerator[Transaction]:
        """A transaction in which records are opened, one at a time."""
        async with self._opening, self._core.database.read() as tx:
            yield tx

    async def record(self, tx: Transaction, build_id: str) -> OpenRecord:
        """What all ledgers of a build share. Call this within `opening`. Keep the answer as long as its ledgers."""
        found = self._records.get(build_id)
        if found is None:
            budget = await self.budget(tx, build_id, is_reported=False)
            found = OpenRecord(budget, StepNumbers(await step_store.last_step_number(tx, build_id)))
            self._records[build_id] = found
        return found

    async def budget(self, tx: Transaction, build_id: str, *, is_reported: bool) -> RecordBudget:
        """What may still be stored of a build: of what its client reports, or of what its machines say."""
        return RecordBudget(
            self._limits.of_reports if is_reported else self._limits.of_machines,
            await size_store.size_of_record(tx, build_id, is_reported=is_reported),
            warnings=await note_store.warning_fingerprints(tx, build_id, is_reported=is_reported),
            dockerfiles=await note_store.dockerfile_names(tx, build_id),
        )

    async def store(
        self, build_id: str, project_id: str, ledger: SolveLedger, *, final: bool, is_trusted: bool
    ) -> None:
        """Store what is new in a ledger, in parts. Each part is stored as a whole or not at all."""
        for batch in ledger.batches(final=final):
            if batch is None:
                await asyncio.sleep(0)
                continue
            try:
                dockerfiles = await masked_dockerfiles(batch.dockerfiles)
                async with self._core.database.write() as tx:
                    await tx.lock(Lock.BUILD, build_id)
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

    def wake_readers(self, build_id: str, project_id: str) -> None:
        """Wake whoever reads a build's record."""
        self._core.wakeups.wake(record_topic(build_id), builds_topic(project_id))


async def masked_dockerfiles(dockerfiles: Sequence[Dockerfile]) -> list[Dockerfile]:
    """Dockerfiles as they are stored. To mask large ones takes a while, so it isn't done on the event loop."""
    if not dockerfiles:
        return []
    contents = await asyncio.to_thread(lambda: [mask_dockerfile(one.contents) for one in dockerfiles])
    return [replace(one, contents=masked) for one, masked in zip(dockerfiles, contents, strict=True)]
