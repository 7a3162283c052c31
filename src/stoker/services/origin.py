"""The origin of the current request."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """A request's id, the address of its sender as far as it is known, and the build whose token it came with."""

    request_id: str
    address: str
    build_id: str = ""


_NONE = Origin("", "")
_origin: ContextVar[Origin] = ContextVar("origin", default=_NONE)


def set_origin(origin: Origin) -> None:
    """Set the origin for the current request."""
    _origin.set(origin)


def current_origin() -> Origin:
    """The origin of the current request; empty outside of requests."""
    return _origin.get()
