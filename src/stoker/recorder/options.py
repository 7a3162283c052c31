"""How solves are followed. All are settings or follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """Times and bounds of the recorder.

    Attributes:
        write_interval: the time between two writes of one solve.
        pending_bytes: how much of a solve's logs waits in memory; beyond it, no more is read until it is written.
        reconnect: for how long a machine that can't be reached is tried again.
        drain: how long a solve is followed after its build's end.
        parallel: how many solves are followed at once; others wait.
    """

    write_interval: timedelta = timedelta(milliseconds=250)
    pending_bytes: int = 1024 * 1024
    reconnect: timedelta = timedelta(seconds=30)
    drain: timedelta = timedelta(seconds=5)
    parallel: int = 1000
