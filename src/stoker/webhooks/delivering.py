"""Delivers what is to be told: in parallel to several webhooks, one message at a time to each."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from stoker.domain.webhooks import (
    BUILD_FINISHED,
    Delivery,
    DeliveryState,
    Patience,
    next_attempt,
    shown_host,
    webhook_key,
)
from stoker.services.wakeups import WEBHOOKS, delivery_topic
from stoker.store import builds as build_store
from stoker.store import webhooks as webhook_store
from stoker.webhooks.sending import Message, Outcome, Sender

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.builds import Build
    from stoker.domain.special_addresses import Network
    from stoker.domain.webhooks import Webhook
    from stoker.services.core import Core

_LOOK_AGAIN = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """How deliveries are made. ``timeout`` is for one attempt."""

    parallel: int
    timeout: timedelta
    patience: Patience
    allow_private: bool
    denied: tuple[Network, ...] = ()


class WebhookDeliverer:
    """The only one who sends webhooks. What it has not done when it ends is done after the next start."""

    def __init__(self, core: Core, options: DeliveryOptions, server_key: bytes, public_url: str) -> None:
        self._core = core
        self._options = options
        self._server_key = server_key
        self._public_url = public_url
        self._work: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Deliver what is due, whenever it is, until cancelled."""
        options = self._options
        sender = Sender(
            options.parallel,
            options.timeout.total_seconds(),
            allow_private=options.allow_private,
            denied=options.denied,
        )
        try:
            with self._core.wakeups.subscribe(WEBHOOKS) as subscription:
                while True:
                    await subscription.wait(await self._begin_due(sender))
        finally:
            for task in self._work.values():
                task.cancel()
            await asyncio.gather(*self._work.values(), return_exceptions=True)
            await sender.close()

    async def _begin_due(self, sender: Sender) -> float:
        """Begin what can be done now; the seconds until there may be more."""
        while len(self._work) < self._options.parallel:
            now = self._core.now()
            async with self._core.database.read() as tx:
                delivery = await webhook_store.due_delivery(tx, now, self._work.keys())
                following = None if delivery else await webhook_store.next_due(tx, self._work.keys())
            if delivery is None:
                left = _LOOK_AGAIN if following is None else (following - now).total_seconds()
                return min(_LOOK_AGAIN, max(0.0, left))
            work = self._deliver(sender, delivery)
            self._work[delivery.webhook_id] = asyncio.create_task(work, name=f"webhook {delivery.webhook_id}")
        return _LOOK_AGAIN

    async def _deliver(self, sender: Sender, delivery: Delivery) -> None:
        try:
            async with self._core.database.read() as tx:
                webhook = await webhook_store.find_webhook(tx, delivery.webhook_id)
                build = None if delivery.build_id is None else await build_store.find_any_build(tx, delivery.build_id)
            if webhook is None:
                return
            message = Message(
                delivery.id,
                webhook.url,
                self._body(delivery, webhook, build),
                webhook_key(self._server_key, webhook.id),
            )
            await self._save(webhook, delivery, await sender.send(message, self._core.now()))
        except Exception:
            _log.exception("delivery %s of webhook %s could not be made", delivery.id, delivery.webhook_id)
            await asyncio.sleep(1)
        finally:
            self._work.pop(delivery.webhook_id, None)
            self._core.wakeups.wake(WEBHOOKS, delivery_topic(delivery.id))

    async def _save(self, webhook: Webhook, delivery: Delivery, outcome: Outcome) -> None:
        now, attempts = self._core.now(), delivery.attempts + 1
        again: datetime | None = None
        state = DeliveryState.DELIVERED
        if outcome.result != "delivered":
            again = next_attempt(delivery, attempts, now, self._options.patience)
            state = DeliveryState.FAILED if again is None else DeliveryState.WAITING
            _log.info(
                "webhook %s (%s): attempt %d %s: %s; %s",
                webhook.id,
                shown_host(webhook.url),
                attempts,
                outcome.result,
                outcome.error,
                "giving up" if again is None else f"again at {again:%H:%M:%S}",
            )
        done = replace(
            delivery,
            state=state,
            attempts=attempts,
            due_at=again or delivery.due_at,
            finished_at=now if again is None else None,
            http_status=outcome.http_status,
            error=outcome.error,
        )
        async with self._core.database.write() as tx:
            await webhook_store.save_attempt(tx, done)
        self._core.meter.webhook_attempted(outcome.result)

    def _body(self, delivery: Delivery, webhook: Webhook, build: Build | None) -> bytes:
        data: dict[str, Any] = {"project_id": webhook.project_id, "organization_id": webhook.organization_id}
        if delivery.event == BUILD_FINISHED and build is not None:
            data |= {
                "build_id": build.id,
                "status": build.status.value,
                "error": build.error,
                "duration_seconds": build.duration_seconds,
                "created_at": _text(build.created_at),
                "started_at": _text(build.started_at),
                "finished_at": _text(build.finished_at),
                "url": f"{self._public_url}/builds/{build.id}",
            }
        content = {"type": delivery.event, "timestamp": _text(delivery.created_at), "data": data}
        return json.dumps(content).encode()


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
