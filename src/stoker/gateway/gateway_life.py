"""Whether the gateway, a process that the supervisor starts, ended and was started again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stoker.runtimes.processes import started_ticks

if TYPE_CHECKING:
    from pathlib import Path


class GatewayLife:
    """Reads the file in which the supervisor stores the gateway's process at each start."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def ended_since(self, moment: datetime) -> bool:
        """Whether the gateway that ran then has ended. False where no supervisor started one."""
        try:
            content = json.loads(self._state.read_text())
            process_id, started = int(content["process_id"]), int(content["started"])
            remembered_at = datetime.fromtimestamp(self._state.stat().st_mtime, UTC)
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return remembered_at > moment or started_ticks(process_id) != started
