"""What a solve's status says, message by message. The nouns of the fields are BuildKit's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.steps import SourceRange, Transfer


@dataclass(frozen=True, slots=True)
class VertexEvent:
    """A step's state now. BuildKit says all of it each time."""

    digest: str
    inputs: tuple[str, ...]
    name: str
    group: str
    cached: bool
    started_at: datetime | None
    completed_at: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class TransferEvent:
    """How far a transfer of a step is."""

    digest: str
    transfer: Transfer


@dataclass(frozen=True, slots=True)
class LogEvent:
    """Something that a step wrote: any bytes, not lines."""

    digest: str
    at: datetime
    stream: int
    content: bytes


@dataclass(frozen=True, slots=True)
class WarningEvent:
    """A warning, with the Dockerfile that it is about."""

    digest: str
    level: int
    short: str
    detail: tuple[str, ...]
    url: str
    filename: str
    source: str
    ranges: tuple[SourceRange, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """One message of a solve's status, or a part of one."""

    vertexes: tuple[VertexEvent, ...] = ()
    transfers: tuple[TransferEvent, ...] = ()
    logs: tuple[LogEvent, ...] = ()
    warnings: tuple[WarningEvent, ...] = ()
