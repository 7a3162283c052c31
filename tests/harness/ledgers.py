"""Ledgers without a database."""

from __future__ import annotations

from collections.abc import Iterable

from stoker.domain.kept_steps import Batch, KeptSteps, StepNumbers
from stoker.domain.ledger import SolveLedger
from stoker.domain.record_limits import RecordBudget, RecordLimits, RecordSize
from stoker.domain.steps import LogLine, Step
from stoker.settings.records import RecordSettings


def kept_steps(
    stored: Iterable[Step] = (), limits: RecordLimits | None = None, used: RecordSize | None = None
) -> KeptSteps:
    """The steps of a build on one machine."""
    steps = tuple(stored)
    numbers = StepNumbers(max((step.number for step in steps), default=0))
    return KeptSteps("b", "linux/amd64", RecordBudget(limits or RecordSettings().limits, used), numbers, steps)


def new_ledger(
    stored: Iterable[Step] = (),
    limits: RecordLimits | None = None,
    kept: KeptSteps | None = None,
    ref: str = "r",
    native: frozenset[str] = frozenset(),
) -> SolveLedger:
    """The ledger of a solve, alone in its build unless it shares the steps of others."""
    return SolveLedger(ref, "linux/amd64", "b", kept or kept_steps(stored, limits), native=native)


def taken(ledger: SolveLedger, *, final: bool = False) -> Batch:
    """All that is new in a ledger, as if it were one batch."""
    batches = [batch for batch in ledger.batches(final=final) if batch is not None]
    lines: dict[int, list[LogLine]] = {}
    for batch in batches:
        for number, some in batch.lines.items():
            lines.setdefault(number, []).extend(some)
    sizes = [batch.growth for batch in batches]
    return Batch(
        steps=tuple(step for batch in batches for step in batch.steps),
        lines=lines,
        warnings=tuple(warning for batch in batches for warning in batch.warnings),
        dockerfiles=tuple(one for batch in batches for one in batch.dockerfiles),
        dropped_steps=max((batch.dropped_steps for batch in batches), default=0),
        growth=RecordSize(
            sum(size.steps for size in sizes),
            sum(size.log_bytes for size in sizes),
            sum(size.kept_bytes for size in sizes),
            sum(size.left_out for size in sizes),
        ),
    )
