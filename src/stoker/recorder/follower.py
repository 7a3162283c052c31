"""Follows one solve from its beginning to its end."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from stoker.buildkit.control import ControlFailed
from stoker.buildkit.history import read_history
from stoker.buildkit.progress import SolveUnknown, follow_solve
from stoker.domain.errors import Unavailable
from stoker.services.wakeups import Subscription, build_topic

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stoker.buildkit.control import ControlCredentials
    from stoker.domain.ledger import SolveLedger
    from stoker.domain.steps import Solve
    from stoker.recorder.solve_records import SolveRecords
    from stoker.services.core import Core
    from stoker.settings.recorder import RecorderSettings

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

# A follower whose solve has reported nothing for so long releases its slot to another one.
_SILENT_SECONDS = 2.0

# When a client's connection breaks, all of its solves end in the same moment. Others shall not wait for all of them.
_ENDS_OF_A_BUILD_AT_ONCE = 4

_log = logging.getLogger(__name__)


class _Gone(Exception):
    """There is nothing more to follow; the text says why."""


class Follower:
    """Follows one solve, and stores what its machine reports."""

    def __init__(
        self,
        core: Core,
        records: SolveRecords,
        credentials: ControlCredentials,
        options: RecorderSettings,
        monotonic: Callable[[], float],
    ) -> None:
        self._core = core
        self._records = records
        self._credentials = credentials
        self._options = options
        self._monotonic = monotonic
        self._ends: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def follow(self, solve: Solve, wanted: Callable[[], Awaitable[None]]) -> bool:
        """Record a solve to its end. Returns False if it released its slot to another solve instead.

        Args:
            solve: what to follow.
            wanted: returns as soon as another solve waits for a slot. A solve that has reported nothing then releases
                its slot. Otherwise a solve whose client never comes would keep it for ever.
        """
        said = asyncio.Event()
        following = asyncio.create_task(self._to_the_end(solve, said), name=f"follow {solve.ref}")
        ended = asyncio.create_task(self._build_ended(solve), name=f"await the end of {solve.build_id}")
        yielding = asyncio.create_task(self._make_way(said, wanted), name=f"make way for others than {solve.ref}")
        try:
            await asyncio.wait({following, ended, yielding}, return_when=asyncio.FIRST_COMPLETED)
            if yielding.done() and not following.done() and not ended.done():
                return False
            await asyncio.wait({following}, timeout=self._options.record_drain_seconds)
            error = following.result() if following.done() else "the build ended while its machine was still working"
        finally:
            for task in (following, ended, yielding):
                task.cancel()
            await asyncio.gather(following, ended, yielding, return_exceptions=True)
        async with self._ends.setdefault(solve.build_id, asyncio.Semaphore(_ENDS_OF_A_BUILD_AT_ONCE)):
            if error is not None:
                _log.info("the record of solve %s of build %s is incomplete: %s", solve.ref, solve.build_id, error)
            else:
                await self._read_history(solve)
            await self._records.end(solve, error)
        return True

    async def _make_way(self, said: asyncio.Event, wanted: Callable[[], Awaitable[None]]) -> None:
        """Return when a solve has reported nothing for a while and another one waits. Never returns after a report."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SILENT_SECONDS):
                await said.wait()
        while not said.is_set():
            await wanted()
            if not said.is_set():
                return
        await asyncio.get_running_loop().create_future()

    async def _build_ended(self, solve: Solve) -> None:
        with self._core.wakeups.subscribe(build_topic(solve.build_id)) as subscription:
            while not await self._records.has_ended(solve.build_id):
                await subscription.wait(None)

    async def _read_history(self, solve: Solve) -> None:
        """Store what BuildKit's history has of a solve that ended. The record is complete without it."""
        machine = await self._records.machine_of(solve)
        if machine is None or machine.placement is None or machine.run != solve.machine_run:
            return
        room = await self._records.room_for_attestations(solve)
        try:
            async with asyncio.timeout(self._options.record_drain_seconds):
                history = await read_history(machine.placement, machine.server_name, self._credentials, solve.ref, room)
        except (ControlFailed, TimeoutError) as error:
            _log.info("the history of solve %s of build %s could not be read: %s", solve.ref, solve.build_id, error)
            return
        await self._records.store_history(solve, history)

    async def _to_the_end(self, solve: Solve, said: asyncio.Event) -> str | None:
        """Follow, and start again when the machine or the database can't be reached. Returns what the record lacks, if
        it lacks something.
        """
        pause, broken_since = _FIRST_PAUSE, None
        while True:
            ledger = None
            try:
                ledger = await self._records.open_ledger(solve)
                await self._follow_once(solve, ledger, said)
            except _Gone as gone:
                return str(gone)
            except SolveUnknown:
                return "its machine has nothing of it any more: it ended while nobody followed it"
            except (ControlFailed, Unavailable) as error:
                _log.info("solve %s of build %s is followed again: %s", solve.ref, solve.build_id, error)
            else:
                return None
            finally:
                if ledger is not None:
                    ledger.close()
            now = self._monotonic()
            if broken_since is None or (ledger is not None and ledger.has_grown):
                pause, broken_since = _FIRST_PAUSE, now
            if now - broken_since >= self._options.record_reconnect_seconds:
                return "its machine, or the server's database, could not be reached any more"
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _follow_once(self, solve: Solve, ledger: SolveLedger, said: asyncio.Event) -> None:
        machine = await self._records.machine_of(solve)
        if machine is None or machine.placement is None or machine.run != solve.machine_run:
            raise _Gone("its machine was stopped before the end was recorded")
        arrived, written = Subscription(), Subscription()
        placement, server_name = machine.placement, machine.server_name

        async def has_room() -> None:
            while ledger.pending_bytes > self._options.record_pending_bytes:
                # It may be what another solve of the build filled.
                arrived.notify()
                await written.wait(None)

        async def read() -> None:
            try:
                async for progress in follow_solve(placement, server_name, self._credentials, solve.ref):
                    said.set()
                    for _ in ledger.applying(progress):
                        await asyncio.sleep(0)
                        await has_room()
                    arrived.notify()
                    await has_room()
            finally:
                arrived.notify()

        reading = asyncio.create_task(read(), name=f"read {solve.ref}")
        try:
            while not reading.done():
                await arrived.wait(None)
                await asyncio.wait({reading}, timeout=self._options.record_interval_seconds)
                await self._records.store(solve, ledger)
                written.notify()
            reading.result()
            await self._records.store(solve, ledger, final=True)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
