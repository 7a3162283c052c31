"""Webhooks: create, list, delete, try, and the messages that they are sent."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.audit import Action, Party
from stoker.domain.errors import InvalidInput, NotFound, ResourceExhausted
from stoker.domain.ids import checked_id
from stoker.domain.special_addresses import is_public
from stoker.domain.webhooks import (
    BUILD_FINISHED,
    TEST,
    Delivery,
    DeliveryState,
    Webhook,
    checked_url,
    host_of,
    literal_address,
    shown_host,
    shown_secret,
    webhook_key,
)
from stoker.services.audit_log import record
from stoker.services.lookup import require_organization, require_project
from stoker.services.wakeups import WEBHOOKS, delivery_topic
from stoker.store import projects as project_store
from stoker.store import webhooks as webhook_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from datetime import timedelta

    from stoker.domain.pagination import Page, PageRequest
    from stoker.domain.principals import Principal
    from stoker.domain.webhooks import WebhookStanding
    from stoker.services.core import Core
    from stoker.store.database import Transaction

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CreatedWebhook:
    """A new webhook, and the secret of its signatures, which is shown this once."""

    webhook: Webhook
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"CreatedWebhook(webhook={self.webhook.id!r})"


class WebhookService:
    """The use cases around webhooks."""

    def __init__(self, core: Core, server_key: bytes, *, allow_private: bool, test_wait: timedelta) -> None:
        """Prepare to serve.

        Args:
            core: what every service needs.
            server_key: from which the keys of webhooks are derived.
            allow_private: take addresses in private networks too.
            test_wait: how long a test is waited for.
        """
        self._core = core
        self._server_key = server_key
        self._allow_private = allow_private
        self._test_wait = test_wait

    async def create(self, principal: Principal, project_id: str, url: str) -> CreatedWebhook:
        """Have an address told when a build of a project has ended.

        Raises:
            InvalidInput: the address can't be one, or isn't a public one.
            NotFound: there is no such project, or it isn't the caller's.
            ResourceExhausted: the project has all the webhooks it may have.
        """
        checked = checked_url(url)
        self._require_public(checked)
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PROJECT, project_id)
            project = await require_project(tx, principal, project_id)
            most = self._core.limits.webhooks.max_project_webhooks
            if len(await webhook_store.list_webhooks(tx, project.id)) >= most:
                raise ResourceExhausted(f"the project has {most} webhooks, which is the most; delete some first")
            now = self._core.now()
            webhook = Webhook(self._core.new_id(), project.organization_id, project.id, checked, now)
            await webhook_store.add_webhook(tx, webhook)
            target, detail = webhook_party(webhook), f"of project {project.name}"
            await record(self._core, tx, principal, Action.WEBHOOK_CREATE, target, webhook.organization_id, detail)
        return CreatedWebhook(webhook, shown_secret(webhook_key(self._server_key, webhook.id)))

    async def list(self, principal: Principal, project_id: str) -> list[Webhook]:
        """A project's webhooks, the oldest first.

        Raises:
            NotFound: there is no such project, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            project = await require_project(tx, principal, project_id)
            return await webhook_store.list_webhooks(tx, project.id)

    async def of_organization(
        self, principal: Principal, organization_id: str, page: PageRequest
    ) -> Page[WebhookStanding]:
        """A page of the webhooks of all projects of an organization, the oldest first, and how each stands.

        Raises:
            NotFound: there is no such organization, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            organization = await require_organization(tx, principal, organization_id)
            return await webhook_store.list_organization_webhooks(tx, organization.id, page)

    async def delete(self, principal: Principal, webhook_id: str) -> None:
        """Tell an address no more; deliveries that wait are dropped.

        Raises:
            NotFound: there is no such webhook, or it isn't the caller's.
        """
        async with self._core.database.write(durable=True) as tx:
            webhook = await _require_webhook(tx, principal, webhook_id)
            await tx.lock(Lock.PROJECT, webhook.project_id)
            await webhook_store.remove_webhook(tx, webhook.id)
            target = webhook_party(webhook)
            await record(self._core, tx, principal, Action.WEBHOOK_DELETE, target, webhook.organization_id)

    async def deliveries(self, principal: Principal, webhook_id: str, page: PageRequest) -> Page[Delivery]:
        """A page of what a webhook was sent or is to be sent, the newest first.

        Raises:
            NotFound: there is no such webhook, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            webhook = await _require_webhook(tx, principal, webhook_id)
            return await webhook_store.list_deliveries(tx, webhook.id, page)

    async def test(self, principal: Principal, webhook_id: str) -> Delivery:
        """Send a webhook a message without a build, once, and wait for what comes of it.

        Raises:
            NotFound: there is no such webhook, or it isn't the caller's.
            ResourceExhausted: a test of it waits already.
        """
        async with self._core.database.write() as tx:
            webhook = await _require_webhook(tx, principal, webhook_id)
            await tx.lock(Lock.PROJECT, webhook.project_id)
            # It may have been deleted while this waited for the lock.
            webhook = await _require_webhook(tx, principal, webhook_id)
            if await webhook_store.has_waiting_test(tx, webhook.id):
                raise ResourceExhausted("a test of this webhook waits already; try again when it is done")
            # Whatever else waits, a test is sent: it is how somebody finds out why.
            delivery = await _add_delivery(self._core, tx, webhook, None)
        deadline = self._core.monotonic() + self._test_wait.total_seconds()
        with self._core.wakeups.subscribe(delivery_topic(delivery.id)) as subscription:
            while True:
                async with self._core.database.read() as tx:
                    delivery = await webhook_store.find_delivery(tx, delivery.id) or delivery
                left = deadline - self._core.monotonic()
                if delivery.state is not DeliveryState.WAITING or left <= 0:
                    return delivery
                await subscription.wait(left)

    def _require_public(self, url: str) -> None:
        """An early answer; names are looked up, and all addresses checked, when something is sent."""
        address = literal_address(host_of(url))
        if address is not None and not self._allow_private and not is_public(address):
            raise InvalidInput("url is in a private network, which this server doesn't send webhooks to")


def webhook_party(webhook: Webhook) -> Party:
    """A webhook, by its host: the rest of its address may be somebody's secret."""
    return Party("webhook", webhook.id, shown_host(webhook.url))


async def enqueue_build_finished(core: Core, tx: Transaction, build_id: str, project_id: str) -> None:
    """In the transaction that ends a build: have its project's webhooks told."""
    told = await webhook_store.list_webhooks(tx, project_id)
    if not told:
        return
    waiting = await webhook_store.waiting_deliveries(tx, told[0].organization_id)
    for webhook in told:
        if waiting.has_room(webhook.id, core.limits.webhooks.waiting):
            await _add_delivery(core, tx, webhook, build_id)
            waiting = waiting.with_one_more(webhook.id)
        else:
            _log.warning("a delivery to webhook %s is dropped: too many wait", webhook.id)
            core.meter.webhook_attempted("dropped")
            await webhook_store.note_dropped(tx, webhook.id, core.now())


async def _add_delivery(core: Core, tx: Transaction, webhook: Webhook, build_id: str | None) -> Delivery:
    now = core.now()
    delivery = Delivery(
        id=core.new_id(),
        webhook_id=webhook.id,
        build_id=build_id,
        event=TEST if build_id is None else BUILD_FINISHED,
        state=DeliveryState.WAITING,
        attempts=0,
        created_at=now,
        due_at=now,
    )
    await webhook_store.add_delivery(tx, delivery)
    tx.after_commit(lambda: core.wakeups.wake(WEBHOOKS))
    return delivery


async def _require_webhook(tx: Transaction, principal: Principal, webhook_id: str) -> Webhook:
    webhook = await webhook_store.find_webhook(tx, checked_id(webhook_id, "webhook_id"))
    project = None if webhook is None else await project_store.find_project(tx, webhook.project_id)
    if webhook is None or project is None or not principal.may_see_project(project.organization_id, project.id):
        raise NotFound(f"webhook {webhook_id} was not found; list a project's webhooks to see their ids")
    principal.require_role(webhook.organization_id)
    return webhook
