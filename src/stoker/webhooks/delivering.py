"""Delivers messages: to several webhooks in parallel, and to each one message at a time.

An organization gets a part of the slots. Tests have their own slots, so that they wait for no other messages.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from stoker.domain.build_origins import NO_ORIGIN
from stoker.domain.rates import Rate, TokenBuckets
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
from stoker.store import build_origins as origin_store
from stoker.store import builds as build_store
from stoker.store import webhooks as webhook_store
from stoker.webhooks.build_events import build_content, time_text
from stoker.webhooks.sending import Message, Outcome, Sender

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.builds import Build
    from stoker.domain.special_addresses import Network
    from stoker.domain.webhooks import Webhook
    from stoker.services.core import Core

_LOOK_AGAIN = 60.0
_PARALLEL_TESTS = 2
_REMEMBERED_ORGANIZATIONS = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """Limits of deliveries: at once, in all and for an organization, and attempts a second of an organization.

    ``timeout`` is that of one attempt.
    """

    parallel: int
    parallel_of_organization: int
    attempts_of_organization: Rate
    timeout: timedelta
    patience: Patience
    allow_private: bool
    denied: tuple[Network, ...]


@dataclass(slots=True)
class _Lane:
    """Messages that are being sent, one at a time to each webhook. Tests have their own lane.

    ``work`` has the organization and the task of each webhook; ``resting`` has the organizations that reached their
    rate, and until when.
    """

    parallel: int
    of_organization: int
    are_tests: bool = False
    work: dict[str, tuple[str, asyncio.Task[None]]] = field(default_factory=dict[str, "tuple[str, asyncio.Task[None]]"])
    resting: dict[str, float] = field(default_factory=dict[str, float])

    def busy(self, most: int) -> webhook_store.Busy:
        """The busy webhooks, and the organizations that are at their limit or resting."""
        counted = Counter(organization_id for organization_id, _ in self.work.values())
        full = [organization_id for organization_id, count in counted.items() if count >= most]
        return webhook_store.Busy(tuple(self.work), {*full, *self.resting}, self.are_tests)

    def rest(self, now: float) -> float | None:
        """Seconds until the next resting organization may continue."""
        self.resting = {organization: until for organization, until in self.resting.items() if until > now}
        return min(self.resting.values(), default=now) - now if self.resting else None


class WebhookDeliverer:
    """The only sender of webhooks. The next start continues what was pending at its end."""

    def __init__(self, core: Core, options: DeliveryOptions, server_key: bytes, public_url: str) -> None:
        self._core = core
        self._options = options
        self._server_key = server_key
        self._public_url = public_url
        self._attempts = TokenBuckets(options.attempts_of_organization, _REMEMBERED_ORGANIZATIONS)
        of_organization = min(options.parallel, options.parallel_of_organization)
        self._lanes = (_Lane(options.parallel, of_organization), _Lane(_PARALLEL_TESTS, 1, are_tests=True))

    async def run(self) -> None:
        """Deliver due messages until cancelled."""
        options = self._options
        sender = Sender(
            sum(lane.parallel for lane in self._lanes),
            options.timeout.total_seconds(),
            allow_private=options.allow_private,
            denied=options.denied,
        )
        try:
            with self._core.wakeups.subscribe(WEBHOOKS) as subscription:
                while True:
                    pauses = [await self._begin_due(sender, lane) for lane in self._lanes]
                    await subscription.wait(min(pauses))
        finally:
            tasks = [task for lane in self._lanes for _, task in lane.work.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await sender.close()

    async def _begin_due(self, sender: Sender, lane: _Lane) -> float:
        """Begin all deliveries that can begin now. Returns the seconds until there may be more."""
        while len(lane.work) < lane.parallel:
            now, moment = self._core.now(), self._core.monotonic()
            rest = lane.rest(moment)
            async with self._core.database.read() as tx:
                # Organizations without a delivery under way go first, so that slow receivers delay only their own.
                found = await webhook_store.due_delivery(tx, now, lane.busy(1))
                found = found or await webhook_store.due_delivery(tx, now, lane.busy(lane.of_organization))
                following = None if found else await webhook_store.next_due(tx, lane.busy(lane.of_organization))
            if found is None:
                left = _LOOK_AGAIN if following is None else (following - now).total_seconds()
                return min(_LOOK_AGAIN, max(0.0, left), _LOOK_AGAIN if rest is None else rest)
            delivery, organization_id = found
            if (wait := self._attempts.take(organization_id, moment)) > 0:
                lane.resting[organization_id] = moment + wait
                continue
            work = self._deliver(sender, lane, delivery)
            task = asyncio.create_task(work, name=f"webhook {delivery.webhook_id}")
            lane.work[delivery.webhook_id] = organization_id, task
        return _LOOK_AGAIN

    async def _deliver(self, sender: Sender, lane: _Lane, delivery: Delivery) -> None:
        try:
            async with self._core.database.read() as tx:
                webhook = await webhook_store.find_webhook(tx, delivery.webhook_id)
                build = None if delivery.build_id is None else await build_store.find_any_build(tx, delivery.build_id)
                origin = NO_ORIGIN if build is None else await origin_store.origin_of(tx, build.id)
            if webhook is None:
                return
            message = Message(
                delivery.id,
                webhook.url,
                self._body(delivery, webhook, build, origin),
                webhook_key(self._server_key, webhook.id),
            )
            await self._save(webhook, delivery, await sender.send(message, self._core.now()))
        except Exception:
            _log.exception("delivery %s of webhook %s could not be made", delivery.id, delivery.webhook_id)
            await asyncio.sleep(1)
        finally:
            lane.work.pop(delivery.webhook_id, None)
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

    def _body(self, delivery: Delivery, webhook: Webhook, build: Build | None, origin: BuildOrigin) -> bytes:
        data: dict[str, Any] = {"project_id": webhook.project_id, "organization_id": webhook.organization_id}
        if delivery.event == BUILD_FINISHED and build is not None:
            data |= build_content(build, origin, f"{self._public_url}/builds/{build.id}")
        content = {"type": delivery.event, "timestamp": time_text(delivery.created_at), "data": data}
        return json.dumps(content).encode()
