"""Times as BuildKit says them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protobuf.wkt import Timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decode_moment(moment: Timestamp | None) -> datetime | None:
    """A time, or None for one that is absent or that no calendar has, such as Go's zero time."""
    try:
        found = None if moment is None else moment.to_datetime()
    except (OverflowError, ValueError):
        return None
    return None if found is None or found < EPOCH else found
