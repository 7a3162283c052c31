"""Somebody else's calls while one caller does something: how long the longest of them waited."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.harness.server import Server

_PAUSE_SECONDS = 0.005


@dataclass
class Waits:
    """How long each call waited, in seconds, and what went wrong."""

    seconds: list[float] = field(default_factory=list[float])
    failures: list[str] = field(default_factory=list[str])

    @property
    def longest(self) -> float:
        return max(self.seconds, default=0.0)


@contextmanager
def neighbour_of(server: Server) -> Iterator[Waits]:
    """Calls the health check of a server, one call after the other, while the block runs."""
    waits, over = Waits(), threading.Event()

    def call() -> None:
        while not over.wait(_PAUSE_SECONDS):
            begun = time.monotonic()
            answer = server.call("grpc.health.v1.Health/Check", token="")
            waits.seconds.append(time.monotonic() - begun)
            if answer.status != 200:
                waits.failures.append(str(answer))

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield waits
    finally:
        over.set()
        caller.join()
    assert not waits.failures, waits.failures[:3]
    assert waits.seconds, "nobody was served"
