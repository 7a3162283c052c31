"""Logins of command lines: started there, approved by a signed-in person on a page, finished once.

The id is a secret of the command line and the server. The page shows a short code, which is worth nothing by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class LoginState(StrEnum):
    """The state of a login."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    FINISHED = "finished"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Login:
    """A login. ``client`` is what the program that started it says about itself, and its address."""

    code: str
    client: str
    created_at: datetime
    expires_at: datetime
    person_id: str | None = None
    refused_at: datetime | None = None
    finished_at: datetime | None = None


def login_state(login: Login, now: datetime) -> LoginState:
    """The state of a login at a time."""
    if login.finished_at is not None:
        return LoginState.FINISHED
    if login.refused_at is not None:
        return LoginState.REFUSED
    if login.expires_at <= now:
        return LoginState.EXPIRED
    return LoginState.PENDING if login.person_id is None else LoginState.APPROVED
