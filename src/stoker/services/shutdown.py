"""Shuts the server down: lets builds end, then stops the machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.machines import Desired, MachineState
from stoker.services.build_completion import fail_builds, wake_ended
from stoker.services.wakeups import FLEET, READINESS
from stoker.store import builds as build_store
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from stoker.services.core import Core


class ShutdownService:
    """Stops all builds and machines."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def close(self, drain: timedelta, stopping: timedelta) -> AsyncIterator[str]:
        """Take no new work, wait for running builds, and stop all machines. Yields what it waits for, in words.

        Args:
            drain: how long running builds get.
            stopping: how long machines get after that; those that need longer are left to the caller.
        """
        self._core.admission.close()
        self._core.wakeups.wake(READINESS)
        deadline = self._core.monotonic() + drain.total_seconds()
        with self._core.wakeups.subscribe(FLEET) as subscription:
            while (running := await self._builds_on_machines()) and self._core.monotonic() < deadline:
                left = deadline - self._core.monotonic()
                yield f"waiting up to {left:.0f} s for {_count(running, 'running build')}"
                await subscription.wait(left)
            ended = await self._fail_running_builds()
            if ended:
                yield f"{_count(len(ended), 'build')} failed: the server was stopped"
            async with self._core.database.write() as tx:
                await machine_store.set_all_desired(tx, Desired.STOPPED)
            self._core.wakeups.wake(FLEET)
            deadline = self._core.monotonic() + stopping.total_seconds()
            before = -1
            while left_over := await self._machines_not_stopped():
                if left_over != before:
                    yield f"stopping {_count(left_over, 'machine')}"
                before = left_over
                left = deadline - self._core.monotonic()
                if left <= 0:
                    yield f"{_count(left_over, 'machine')} did not stop in time"
                    return
                await subscription.wait(left)

    async def _builds_on_machines(self) -> int:
        async with self._core.database.read() as tx:
            return await lease_store.count_builds_on_machines(tx)

    async def _machines_not_stopped(self) -> int:
        async with self._core.database.read() as tx:
            machines = await machine_store.machines_to_look_at(tx)
        return sum(machine.state is not MachineState.STOPPED for machine in machines)

    async def _fail_running_builds(self) -> list[str]:
        async with self._core.database.write() as tx:
            await tx.lock(Lock.QUEUE)
            running = [build.id for build in await build_store.running_builds(tx)]
            ended = await fail_builds(self._core, tx, running, "the server was stopped")
        wake_ended(self._core, ended)
        return ended


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
