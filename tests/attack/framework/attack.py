"""What an attack is, and what it may do: bounded in rate, count and time, and counted."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.attack.framework.world import World

Given = dict[str, Any]
"""What an attack was prepared with, as JSON can hold it."""


class Credential(Enum):
    """What an attacker holds."""

    NONE = "none"
    UNTRUSTED = "an untrusted build's token"
    PROJECT = "a project's token"
    OWNER = "an owner's token"
    LINK = "a share link"


class AttackOver(Exception):
    """The attack has had its time, or all that it may send."""


@dataclass
class Attacker:
    """The side of an attack that runs in a process of its own."""

    api: tuple[str, int]
    seconds: float
    given: Given
    seed: int
    most: int
    tally: Counter[str] = field(default_factory=Counter[str])
    _began: float = field(default_factory=time.monotonic)
    _turns: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311

    @property
    def over(self) -> bool:
        return time.monotonic() - self._began >= self.seconds

    async def turn(self, per_second: float) -> None:
        """Wait until the next of all attempts may be made at that rate.

        Raises:
            AttackOver: there is none.
        """
        due = self._began + self._turns / per_second
        self._turns += 1
        if self._turns > self.most:
            await asyncio.sleep(max(0.0, self._began + self.seconds - time.monotonic()))
        if self.over or due >= self._began + self.seconds:
            raise AttackOver
        await asyncio.sleep(max(0.0, due - time.monotonic()))

    def count(self, what: object) -> None:
        """Note what came of an attempt."""
        self.tally[str(what)] += 1

    async def hold(self) -> None:
        """Keep what is open until the attack's time is over."""
        await asyncio.sleep(max(0.0, self._began + self.seconds - time.monotonic()))

    async def attempt(self, what: Awaitable[object]) -> None:
        """Make an attempt, and note its result or how it failed."""
        try:
            self.count(await what)
        except (OSError, EOFError, TimeoutError) as error:
            self.count(type(error).__name__)

    async def many(self, workers: int, work: Callable[[int], Awaitable[None]]) -> None:
        """Let so many work beside each other until the attack is over."""

        async def until_over(number: int) -> None:
            with contextlib.suppress(AttackOver):
                await work(number)

        await asyncio.gather(*(until_over(number) for number in range(workers)))


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        finding: the number of what it was first found as.
        name: says it in a table.
        credential: what the attacker holds.
        run: makes it, in a process of its own.
        prepare: makes what it needs, such as tokens and builds, before anything is measured.
        check: fails when the attack got what it wanted, apart from what neighbours notice.
        most: attempts in all, so that it can't go on for ever.
        api_growth: how many bytes of memory the API may take for it.
        gateway_growth: the same of the gateway.
    """

    finding: str
    name: str
    credential: Credential
    run: Callable[[Attacker], Awaitable[None]]
    prepare: Callable[[World], Given] = lambda _: {}
    check: Callable[[World, Given, Counter[str]], None] = lambda *_: None
    most: int = 1_000_000
    api_growth: int = 200 * 1024**2
    gateway_growth: int = 200 * 1024**2


def gateway_address(given: Given) -> tuple[str, int]:
    """Where an endpoint is."""
    host, _, port = str(given["address"]).removeprefix("tcp://").rpartition(":")
    return host, int(port)


def gateway_tls(given: Given) -> ssl.SSLContext:
    """The certificates of an endpoint."""
    folder = Path(given["folder"])
    tls = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    tls.set_alpn_protocols(["h2"])
    return tls
