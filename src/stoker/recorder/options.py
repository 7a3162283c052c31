"""How solves are followed. All are settings or follow from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from stoker.recorder.slots import SlotLimits


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """Times and bounds of the recorder.

    Attributes:
        write_interval: the time between two writes of one solve.
        pending_bytes: how much of a solve's logs waits in memory; beyond it, no more is read until it is written.
        reconnect: for how long a machine that can't be reached is tried again.
        drain: how long a solve is followed after its build's end.
        slots: how many solves are followed at once; others wait.
        silent: after which time a follower whose solve has said nothing gives its slot to another.
    """

    write_interval: timedelta = timedelta(milliseconds=250)
    pending_bytes: int = 1024 * 1024
    reconnect: timedelta = timedelta(seconds=30)
    drain: timedelta = timedelta(seconds=5)
    slots: SlotLimits = field(default_factory=SlotLimits)
    silent: timedelta = timedelta(seconds=2)
