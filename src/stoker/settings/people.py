"""Members, their sessions and logins, and their organization's tokens."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic.dataclasses import dataclass

from stoker.settings.group import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PeopleSettings:
    """Members, their sessions and logins, and their organization's tokens."""

    session_days: float = Field(default=14, gt=0, le=365, description="How long a browser stays signed in.")
    max_sessions: int = Field(
        default=100,
        ge=1,
        description="Browsers in which a person is signed in; beyond it the oldest one is signed out.",
    )
    invitation_days: float = Field(default=7, gt=0, le=90, description="How long an invitation's link works.")
    max_members: int = Field(default=10_000, ge=1, description="Members and invitations that an organization may have.")
    max_organization_tokens: int = Field(
        default=1000, ge=1, description="Tokens that an organization may have of its own."
    )
    login_minutes: float = Field(
        default=15, gt=0, le=24 * 60, description="How long `depot login` waits for its approval."
    )
    max_open_logins: int = Field(
        default=1000, ge=1, description="Logins of command lines that may wait for their approval."
    )
    max_open_logins_per_address: int = Field(default=20, ge=1, description="The same from one address.")
    user_token_days: float = Field(default=90, ge=0, le=3660, description="How long a login's token works; 0 for ever.")
    token_use_seconds: float = Field(
        default=60, ge=1, le=24 * 3600, description="Time between two writes of when tokens were last used."
    )

    @property
    def session_lifetime(self) -> timedelta:
        """How long a browser stays signed in."""
        return timedelta(days=self.session_days)

    @property
    def invitation_lifetime(self) -> timedelta:
        """How long an invitation's link works."""
        return timedelta(days=self.invitation_days)

    @property
    def login_lifetime(self) -> timedelta:
        """How long a login of a command line waits for its approval."""
        return timedelta(minutes=self.login_minutes)

    @property
    def user_token_lifetime(self) -> timedelta | None:
        """How long a login's token works; None for ever."""
        return timedelta(days=self.user_token_days) if self.user_token_days else None
