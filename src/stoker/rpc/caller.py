"""Who makes the call that is being handled."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stoker.domain.principals import Principal

_caller: ContextVar[Principal] = ContextVar("caller")


def set_caller(principal: Principal) -> None:
    """Remember the caller for the time of this call."""
    _caller.set(principal)


def caller() -> Principal:
    """The verified caller of this call.

    Raises:
        LookupError: the method is open to anyone, so nobody was verified.
    """
    return _caller.get()


def is_verified() -> bool:
    """Whether this call's caller was verified."""
    return _caller.get(None) is not None
