"""How webhooks are sent, and how many may wait."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from stoker.domain.webhooks import DeliveryBounds
from stoker.settings.group import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class WebhookSettings:
    """How webhooks are sent, and how many may wait."""

    max_project_webhooks: int = Field(default=20, ge=1, description="Webhooks that a project may have.")
    webhook_timeout_seconds: float = Field(
        default=10, gt=0, le=60, description="How long one attempt of a webhook may take."
    )
    webhook_retry_seconds: float = Field(
        default=5, gt=0, le=3600, description="Pause after a webhook's first failed attempt; it doubles, up to an hour."
    )
    webhook_hours: float = Field(
        default=24, ge=0, le=24 * 30, description="How long a webhook that fails is tried again."
    )
    webhook_private_addresses: bool = Field(
        default=False, description="Send webhooks to private networks and this host too."
    )
    parallel_webhooks: int = Field(default=8, ge=1, le=256, description="Webhooks that are sent to at once.")
    parallel_webhooks_per_organization: int = Field(
        default=4, ge=1, le=256, description="The same of one organization."
    )
    webhook_attempts_per_second: float = Field(
        default=20, gt=0, description="Attempts to deliver webhooks of an organization a second, for long."
    )
    webhook_attempts_burst: int = Field(default=1000, ge=1, description="Such attempts at once, beyond that rate.")
    max_webhook_deliveries: int = Field(default=10_000, ge=1, description="Deliveries of webhooks that may wait.")
    max_webhook_deliveries_per_organization: int = Field(
        default=2000, ge=1, description="The same of one organization."
    )
    max_webhook_deliveries_per_webhook: int = Field(
        default=1000, ge=1, description="The same of one webhook; what is dropped beyond it is counted and shown."
    )

    @property
    def waiting(self) -> DeliveryBounds:
        """How many deliveries may wait."""
        return DeliveryBounds(
            per_webhook=self.max_webhook_deliveries_per_webhook,
            per_organization=self.max_webhook_deliveries_per_organization,
            on_server=self.max_webhook_deliveries,
        )
