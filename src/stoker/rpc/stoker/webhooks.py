"""`stoker.v1.WebhookService`: who is told when builds end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.stoker.v1 import webhooks_pb as pb
from stoker._gen.stoker.v1.webhooks_connect import WebhookService
from stoker.domain.pagination import checked_page
from stoker.domain.webhooks import DeliveryState
from stoker.rpc.caller import caller
from stoker.rpc.encoding import encode_moment

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.webhooks import Delivery, Webhook
    from stoker.services.webhooks import WebhookService as Webhooks

_STATES = {
    DeliveryState.WAITING: pb.DeliveryState.WAITING,
    DeliveryState.DELIVERED: pb.DeliveryState.DELIVERED,
    DeliveryState.FAILED: pb.DeliveryState.FAILED,
}


class WebhookHandlers(WebhookService):
    """Webhooks of projects."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    async def create_webhook(
        self, request: pb.CreateWebhookRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.CreateWebhookResponse:
        """Create a webhook; its secret is in this answer alone."""
        created = await self._webhooks.create(caller(), request.project_id, request.url)
        return pb.CreateWebhookResponse(webhook=_webhook(created.webhook), secret=created.secret)

    async def delete_webhook(
        self, request: pb.DeleteWebhookRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.DeleteWebhookResponse:
        """Delete a webhook."""
        await self._webhooks.delete(caller(), request.webhook_id)
        return pb.DeleteWebhookResponse()

    async def list_deliveries(
        self, request: pb.ListDeliveriesRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListDeliveriesResponse:
        """List what a webhook was sent."""
        wanted = checked_page(request.page_size, request.page_token)
        page = await self._webhooks.deliveries(caller(), request.webhook_id, wanted)
        return pb.ListDeliveriesResponse(
            deliveries=[_delivery(one) for one in page.items], next_page_token=page.next_token or ""
        )

    async def list_webhooks(
        self, request: pb.ListWebhooksRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListWebhooksResponse:
        """List a project's webhooks."""
        webhooks = await self._webhooks.list(caller(), request.project_id)
        return pb.ListWebhooksResponse(webhooks=[_webhook(one) for one in webhooks])

    async def test_webhook(
        self, request: pb.TestWebhookRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.TestWebhookResponse:
        """Try a webhook."""
        return pb.TestWebhookResponse(delivery=_delivery(await self._webhooks.test(caller(), request.webhook_id)))


def _webhook(webhook: Webhook) -> pb.Webhook:
    return pb.Webhook(
        webhook_id=webhook.id,
        project_id=webhook.project_id,
        url=webhook.url,
        created_at=Timestamp.from_datetime(webhook.created_at),
        dropped=webhook.dropped,
        dropped_at=encode_moment(webhook.dropped_at),
    )


def _delivery(delivery: Delivery) -> pb.Delivery:
    is_waiting = delivery.state is DeliveryState.WAITING
    return pb.Delivery(
        delivery_id=delivery.id,
        event=delivery.event,
        build_id=delivery.build_id or "",
        state=_STATES[delivery.state],
        attempts=delivery.attempts,
        created_at=Timestamp.from_datetime(delivery.created_at),
        due_at=encode_moment(delivery.due_at if is_waiting else None),
        finished_at=encode_moment(delivery.finished_at),
        http_status=delivery.http_status or 0,
        error=delivery.error or "",
    )
