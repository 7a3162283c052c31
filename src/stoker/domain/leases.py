"""A lease: a build's expiring hold on a machine, kept alive by health reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.platforms import Platform


@dataclass(frozen=True, slots=True)
class Lease:
    """One build's hold on the machine of one platform. It is live until ``ended_at`` is set."""

    id: str
    build_id: str
    project_id: str
    platform: Platform
    machine_id: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    end_reason: str | None
