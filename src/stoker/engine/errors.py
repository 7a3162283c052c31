"""What can go wrong with the engine; each message is one line that says what to do."""

from __future__ import annotations

from stoker.domain.errors import StokerError


class EngineUnavailable(StokerError):
    """There is no usable engine, and it could not be got."""


class EngineCorrupt(StokerError):
    """An engine's files aren't what they were when it was got."""
