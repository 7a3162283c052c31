"""Why a solve failed, as it is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.builds import BuildStatus
from stoker.domain.steps import RecordState
from stoker.services.wakeups import record_topic
from stoker.store import builds as build_store
from stoker.store import solves as solve_store
from stoker.store import steps as step_store

if TYPE_CHECKING:
    from stoker.services.core import Core

_POLL_SECONDS = 0.5


class SolveFailures:
    """Finds the step that a solve failed with, or who canceled its build."""

    def __init__(self, core: Core, wait_seconds: float) -> None:
        """Wait at most that long for the recorder, which stores steps a moment after their end."""
        self._core = core
        self._wait_seconds = wait_seconds

    async def cancellation(self, ref: str) -> str | None:
        """Who canceled the build of a solve, in words; None unless somebody else than its client did."""
        async with self._core.database.read() as tx:
            solve = await solve_store.find_solve(tx, ref)
            build = None if solve is None else await build_store.find_any_build(tx, solve.build_id)
        return build.error if build is not None and build.status is BuildStatus.CANCELED else None

    async def reason(self, ref: str) -> str | None:
        """The error of the step with which a solve failed; None when none is recorded in time."""
        end = self._core.monotonic() + self._wait_seconds
        async with self._core.database.read() as tx:
            solve = await solve_store.find_solve(tx, ref)
        if solve is None:
            return None
        with self._core.wakeups.subscribe(record_topic(solve.build_id)) as more:
            while True:
                async with self._core.database.read() as tx:
                    error = await step_store.first_failure(tx, solve.build_id, ref)
                    solve = await solve_store.find_solve(tx, ref)
                if error is not None or solve is None or solve.record is not RecordState.FOLLOWING:
                    return error
                left = end - self._core.monotonic()
                if left <= 0:
                    return None
                await more.wait(min(left, _POLL_SECONDS))
