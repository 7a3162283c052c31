"""What a server keeps and tells of what happened: audit log, webhooks, uses of tokens, sizes of volumes."""

from __future__ import annotations

from pydantic import Field

from stoker.settings.group import SettingsGroup


class EventSettings(SettingsGroup):
    """What a server keeps and tells of what happened: audit log, webhooks, uses of tokens, sizes of volumes."""

    audit_days: float = Field(
        365, ge=0, le=36_600, description="How long events of the audit log are kept; 0 for ever."
    )
    max_audit_events: int = Field(
        1_000_000,
        ge=10,
        description="Events of the audit log that are kept; those of who has most go first, the oldest before others.",
    )
    max_audit_events_per_organization: int = Field(
        200_000, ge=10, description="The same of one organization, and of what concerns none."
    )
    max_audit_events_per_actor: int = Field(
        50_000, ge=10, description="The same of one person or token there, and of all strangers together."
    )
    forget_seconds: float = Field(
        300, ge=0.1, le=24 * 3600, description="Pause between two times that what is too old or too much goes."
    )
    webhook_timeout_seconds: float = Field(10, gt=0, le=60, description="How long one attempt of a webhook may take.")
    webhook_retry_seconds: float = Field(
        5, gt=0, le=3600, description="Pause after a webhook's first failed attempt; it doubles, up to an hour."
    )
    webhook_hours: float = Field(24, ge=0, le=24 * 30, description="How long a webhook that fails is tried again.")
    webhook_history_days: float = Field(7, ge=0, le=366, description="How long deliveries that are done are listed.")
    webhook_private_addresses: bool = Field(
        default=False, description="Send webhooks to private networks and this host too."
    )
    max_project_webhooks: int = Field(20, ge=1, description="Webhooks that a project may have.")
    max_webhook_deliveries: int = Field(10_000, ge=1, description="Deliveries of webhooks that may wait.")
    max_webhook_deliveries_per_organization: int = Field(2000, ge=1, description="The same of one organization.")
    max_webhook_deliveries_per_webhook: int = Field(
        1000, ge=1, description="The same of one webhook; what is dropped beyond it is counted and shown."
    )
    parallel_webhooks: int = Field(8, ge=1, le=256, description="Webhooks that are sent to at once.")
    webhook_attempts_per_second: float = Field(
        20, gt=0, description="Attempts to deliver webhooks of an organization a second, for long."
    )
    webhook_attempts_burst: int = Field(1000, ge=1, description="Such attempts at once, beyond that rate.")
    parallel_webhooks_per_organization: int = Field(4, ge=1, le=256, description="The same of one organization.")
    max_open_logins: int = Field(1000, ge=1, description="Logins of command lines that may wait for their approval.")
    max_open_logins_per_address: int = Field(20, ge=1, description="The same from one address.")
    measure_seconds: float = Field(
        900, ge=1, le=7 * 24 * 3600, description="Time between two looks at the size of a running machine's volume."
    )
    token_use_seconds: float = Field(
        60, ge=1, le=24 * 3600, description="Time between two writes of when tokens were last used."
    )
