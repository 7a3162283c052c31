"""Clocks that tests set."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass
class SetClock:
    """Stands where a test sets it."""

    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


@dataclass
class SteppedClock(SetClock):
    """Goes on when a test says so; whoever pauses waits for that."""

    pauses: list[tuple[datetime, asyncio.Event]] = field(default_factory=list)

    async def pause(self, seconds: float) -> None:
        over = asyncio.Event()
        self.pauses.append((self.time + timedelta(seconds=seconds), over))
        await over.wait()

    def go_on(self, by: timedelta) -> None:
        self.time += by
        for until, over in self.pauses:
            if until <= self.time:
                over.set()
