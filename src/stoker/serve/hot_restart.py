"""How one Envoy replaces another without closing its port.

The new Envoy gets the listening sockets of the old one. When the new one is ready, the old one accepts no more
connections, finishes its requests, and exits (Envoy's documentation, "Hot restart"). The two find each other by a base
id, and by an epoch that grows by one each time. They talk over Unix sockets in a folder that nobody else may enter.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.serve.data_folder import spare_bytes

if TYPE_CHECKING:
    from pathlib import Path

_SPARE_SECONDS = 2
_DRAIN_SECONDS = 2
_LONGEST_SUFFIX = len("_udp_parent_") + 10
_BASE_IDS = 2**31 // 10 - 1
"""Envoy names its sockets by ten times the base id. Past 2^31 it writes that number with twenty digits, and the bases
that it chooses by itself are now and then that large."""


@dataclass(frozen=True, slots=True)
class HotRestart:
    """What an API process knows of the ones before it.

    ``longest_call_seconds`` is how long the calls of the older one may last; streams are cut after that.
    """

    folder: Path
    longest_call_seconds: float

    def first_flags(self) -> list[str]:
        """Flags of an Envoy that replaces none."""
        if spare_bytes(self._sockets) < _LONGEST_SUFFIX:
            return ["--disable-hot-restart"]
        for left in (self._base, *self.folder.glob(f"{self._sockets.name}_*")):
            left.unlink(missing_ok=True)
        base = secrets.randbelow(_BASE_IDS)
        self._base.write_text(str(base))
        self._epoch.write_text("0")
        return ["--base-id", str(base), *self._common()]

    def next_flags(self) -> list[str] | None:
        """Flags of an Envoy that replaces the last one. None when the last one can't be replaced."""
        try:
            base, epoch = int(self._base.read_text()), int(self._epoch.read_text()) + 1
        except (OSError, ValueError):
            return None
        self._epoch.write_text(str(epoch))
        return ["--base-id", str(base), "--restart-epoch", str(epoch), *self._common()]

    @property
    def _base(self) -> Path:
        return self.folder / "api.base-id"

    @property
    def _epoch(self) -> Path:
        return self.folder / "api.epoch"

    @property
    def _sockets(self) -> Path:
        return self.folder / "hot"

    def _common(self) -> list[str]:
        sockets = ["--socket-path", str(self._sockets), "--socket-mode", "600"]
        overlap = math.ceil(self.longest_call_seconds) + _SPARE_SECONDS
        times = ["--drain-time-s", str(_DRAIN_SECONDS), "--parent-shutdown-time-s", str(overlap)]
        return [*sockets, *times, "--drain-strategy", "immediate", "--skip-hot-restart-parent-stats"]
