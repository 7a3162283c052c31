"""Tell waiting tasks that something changed, so that nobody polls.

Topics are only remembered while somebody waits on them. In one process a set of events is enough; with several,
whatever carries the same topics between them goes behind the same class.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

FLEET = "fleet"
LEASES = "leases"
VOLUMES = "volumes"
QUEUE = "queue"
PREWARM = "prewarm"
SOLVES = "solves"
WEBHOOKS = "webhooks"
READINESS = "readiness"


def build_topic(build_id: str) -> str:
    """Woken when something about a build changes."""
    return f"build:{build_id}"


def builds_topic(owner_id: str) -> str:
    """Woken when one of the builds of a project, or of an organization, begins, waits, starts or ends.

    That of a project is also woken when more is recorded of one of its builds, and that of an organization when a
    project of it is created, changed or deleted.
    """
    return f"builds:{owner_id}"


def builds_topics(organization_id: str, project_id: str) -> tuple[str, str]:
    """Those of a build's organization and project."""
    return builds_topic(organization_id), builds_topic(project_id)


def record_topic(build_id: str) -> str:
    """Woken when steps or logs of a build were stored, or its record is at its end."""
    return f"record:{build_id}"


def solve_topic(ref: str) -> str:
    """Woken when a solve begins."""
    return f"solve:{ref}"


def machine_topic(machine_id: str) -> str:
    """Woken when a machine's state changes."""
    return f"machine:{machine_id}"


def machines_topic(organization_id: str) -> str:
    """Woken when the state of one of an organization's machines changes."""
    return f"machines:{organization_id}"


def login_topic(code: str) -> str:
    """Woken when a login is approved or refused."""
    return f"login:{code}"


def delivery_topic(delivery_id: str) -> str:
    """Woken when a delivery was tried."""
    return f"delivery:{delivery_id}"


class Subscription:
    """Remembers wake-ups since the last wait, so that none is lost between a look and a wait."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake whoever waits, or the next who does."""
        self._event.set()

    async def wait(self, timeout_seconds: float | None) -> bool:
        """Wait for a wake-up; False when the time is over first."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Wakeups:
    """Subscribe to topics, and wake their subscribers. Only from the event loop's own thread."""

    def __init__(self) -> None:
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)

    @contextmanager
    def subscribe(self, *topics: str) -> Generator[Subscription]:
        """Get all wake-ups of these topics for the time of the block."""
        subscription = Subscription()
        for topic in topics:
            self._subscriptions[topic].add(subscription)
        try:
            yield subscription
        finally:
            for topic in topics:
                self._subscriptions[topic].discard(subscription)
                if not self._subscriptions[topic]:
                    del self._subscriptions[topic]

    def wake(self, *topics: str) -> None:
        """Wake all subscribers of these topics. Call it after the commit of what they will look at."""
        for topic in topics:
            for subscription in self._subscriptions.get(topic, ()):
                subscription.notify()

    def wake_all(self) -> None:
        """Wake every subscriber, for what another process may have changed."""
        self.wake(*self._subscriptions)
