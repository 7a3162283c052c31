"""What it costs to record builds, and how fast logs are recorded."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.measure import Alternative, Comparison, bounded_rounds, compare
from bench.stack import BenchmarkFailed, Stack, running_stack, timed_command
from stoker.domain.builds import Build, BuildStatus
from stoker.domain.kept_steps import KeptSteps, StepNumbers
from stoker.domain.ledger import SolveLedger
from stoker.domain.progress import LogEvent, Progress
from stoker.domain.record_limits import RecordBudget
from stoker.services.admission import Admission
from stoker.services.bootstrap import BootstrapService
from stoker.services.core import Core, Limits
from stoker.services.wakeups import Wakeups
from stoker.settings.records import RecordSettings
from stoker.store import builds, step_logs, steps
from stoker.store.engines.sqlite import open_sqlite
from stoker.store.migrate import migrate
from stoker.system import SystemClock, SystemRandomness
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import depot_binary, depot_environment

_UNRECORDED = "not recorded"
_LINES_A_STEP = 200
_STEPS = 12
_LOG_BYTES = 16 * 1024**2
_MESSAGE = b"a line of a log, as a compiler writes them: warning: unused variable\n" * 60


def compare_records(rounds: int, seconds: float) -> list[Comparison]:
    """A build with steps that say something, recorded and not; and what recording takes of a large log."""
    with running_stack(record_builds="false") as without, running_stack() as recording:
        ways = {"recorded": _builds(recording), _UNRECORDED: _builds(without)}
        building = compare(
            f"Build of {_STEPS} steps with {_LINES_A_STEP} lines each",
            [Alternative(name, way) for name, way in ways.items()],
            against=_UNRECORDED,
            rounds=bounded_rounds(rounds, 0.8 * seconds),
        )
        ((lines,),) = recording.server.query("select coalesce(sum(log_lines), 0) from steps")
        if lines < _STEPS * _LINES_A_STEP:
            raise BenchmarkFailed(f"only {lines} lines were recorded")
    with tempfile.TemporaryDirectory(prefix="stoker-bench-") as name:
        logs = compare(
            f"A log of {_LOG_BYTES / 1000**2:.1f} MB",
            [
                Alternative("taken in and stored", lambda: asyncio.run(_record(Path(name), store=True))),
                Alternative("taken in", lambda: asyncio.run(_record(Path(name), store=False))),
            ],
            against="taken in",
            rounds=bounded_rounds(rounds, 0.2 * seconds),
        )
    return [building, logs]


def _builds(stack: Stack) -> Callable[[], float]:
    lines = f"for n in $(/bin/busybox seq {_LINES_A_STEP}); do echo line $n of this step; done"
    said = "".join(run(f"{lines}; true {step}") for step in range(_STEPS))
    context = make_context(stack.folder / "context", HEADER + said)
    return partial(_build, stack, context)


def _build(stack: Stack, context: Path) -> float:
    environment = depot_environment(stack.server, stack.folder)
    command = [str(depot_binary()), "build", "--no-cache", "--progress=plain", "."]
    return timed_command(command, cwd=context, environment=environment).seconds


async def _record(folder: Path, *, store: bool) -> float:
    path = folder / f"{time.monotonic_ns()}.db"
    migrate(path)
    database = open_sqlite(path)
    core = Core(database, SystemClock(), SystemRandomness(), Wakeups(), Limits(), Admission())
    first = await BootstrapService(core).first_steps(lambda _: None)
    if first is None:
        raise BenchmarkFailed("a new database had something in it")
    build = core.new_id()
    async with database.write() as tx:
        await builds.add_build(
            tx,
            Build(
                id=build,
                organization_id=first.organization_id,
                project_id=first.project_id,
                status=BuildStatus.RUNNING,
                error=None,
                created_at=core.now(),
                started_at=None,
                finished_at=None,
            ),
        )
    limits = replace(RecordSettings().limits, step_log_bytes=2 * _LOG_BYTES, build_log_bytes=2 * _LOG_BYTES)
    kept = KeptSteps(build, "linux/amd64", RecordBudget(limits), StepNumbers())
    ledger = SolveLedger("r", "linux/amd64", build, kept)
    event = LogEvent("sha256:0", datetime.now(UTC), 1, _MESSAGE)
    began = time.perf_counter()
    for _ in range(_LOG_BYTES // len(_MESSAGE)):
        ledger.apply(Progress((), (), (event,), ()))
        for batch in ledger.batches() if ledger.pending_bytes > 1024**2 else ():
            if store and batch is not None:
                async with database.write() as tx:
                    await steps.save_steps(tx, first.project_id, batch.steps, is_trusted=True)
                    await step_logs.add_lines(tx, build, batch.lines)
    taken = time.perf_counter() - began
    await database.close()
    return taken
