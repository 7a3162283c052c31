"""How long events of the audit log and deliveries of webhooks are kept."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic.dataclasses import dataclass

from stoker.settings.group import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RetentionSettings:
    """How long events of the audit log and deliveries of webhooks are kept."""

    audit_days: float = Field(
        default=365, ge=0, le=36_600, description="How long events of the audit log are kept; 0 for ever."
    )
    max_audit_events: int = Field(
        default=1_000_000,
        ge=1,
        description="Events of the audit log that are kept; beyond it, whoever has most loses the oldest first.",
    )
    max_audit_events_per_organization: int = Field(
        default=200_000, ge=1, description="The same of one organization, and of what concerns none."
    )
    max_audit_events_per_actor: int = Field(
        default=50_000, ge=1, description="The same of one person or token there, and of all strangers together."
    )
    webhook_history_days: float = Field(
        default=7, ge=0, le=366, description="How long deliveries that are done are listed."
    )
    cleanup_seconds: float = Field(
        default=300, ge=0.1, le=24 * 3600, description="Time between two deletions of what is too old or too much."
    )

    @property
    def audit_lifetime(self) -> timedelta | None:
        """How long events of the audit log are kept; None for ever."""
        return timedelta(days=self.audit_days) if self.audit_days else None

    @property
    def webhook_history(self) -> timedelta:
        """How long deliveries that are done are listed."""
        return timedelta(days=self.webhook_history_days)
