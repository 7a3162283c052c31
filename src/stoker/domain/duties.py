"""Duties: work that one of the servers on a database does for all of them, and when another one takes it over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

RENEW_SECONDS = 2.0
"""How often a holder renews its duties."""
SILENT_SECONDS = 10.0
"""A holder that has not renewed a duty for so long is gone."""
PATIENCE_SECONDS = 8.0
"""A holder that could not renew a duty for so long ends its work, so that it has ended when another one begins."""


class Duty(StrEnum):
    """What is held as one. Work that shares something in memory or on a host belongs to one duty."""

    FLEET = "fleet"
    BUILDS = "builds"
    WEBHOOKS = "webhooks"
    RETENTION = "retention"


@dataclass(frozen=True, slots=True)
class DutyState:
    """A duty as it is stored. Nobody holds it if ``holder`` is None.

    ``claim`` names one tenure of a holder. ``until`` changes with each renewal; it is what the holder's clock says, so
    others don't compare it with their own.
    """

    duty: Duty
    holder: str | None
    claim: str | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A duty as a server has seen it, unchanged since a moment of the server's monotonic clock."""

    state: DutyState
    since: float


def see(before: Sighting | None, state: DutyState, moment: float) -> Sighting:
    """What a server has seen of a duty, when it looks again."""
    return before if before is not None and before.state == state else Sighting(state, moment)


def may_take(seen: Sighting, holder: str, moment: float, *, is_shared: bool, at_start: bool) -> bool:
    """Whether a server may take a duty that it does not hold.

    Args:
        seen: the duty.
        holder: names the server.
        moment: by its monotonic clock.
        is_shared: whether other servers may work on the database.
        at_start: whether it has just started. Then what is held in its name was held by a process that it replaces.
            Later it would take duties from its own successor.
    """
    if seen.state.holder is None:
        return True
    if at_start and (not is_shared or seen.state.holder == holder):
        return True
    return moment - seen.since >= SILENT_SECONDS


def is_held(renewed_at: float, moment: float, *, is_shared: bool) -> bool:
    """Whether a holder may rely on a duty that it renewed at a moment.

    Where no other server can take it over, it may until it sees that its successor has.
    """
    return not is_shared or moment - renewed_at < PATIENCE_SECONDS
