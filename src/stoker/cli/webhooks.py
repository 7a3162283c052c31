"""`stoker webhooks`: messages when builds of a project end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker._gen.stoker.v1 import webhooks_pb as pb
from stoker._gen.stoker.v1.webhooks_connect import WebhookServiceClient
from stoker.cli.confirmation import confirm, yes_flag
from stoker.cli.output import print_made, print_table, shown_time
from stoker.cli.project_choice import project_flag
from stoker.cli.remote import Remote, follow_pages, limit_flag, remote_command
from stoker.cli.terminal import Problem, tell

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group("webhooks")
def command() -> None:
    """Webhooks: messages when builds of a project end."""


@command.command("list")
@project_flag
@remote_command
def list_webhooks(remote: Remote, project_id: str) -> None:
    """List a project's webhooks. DROPPED counts messages that were not sent because too many waited."""
    request = pb.ListWebhooksRequest(project_id=project_id)
    answer = remote.call(WebhookServiceClient, lambda webhooks: webhooks.list_webhooks(request))
    remote.finish_json(answer)
    rows = [(one.webhook_id, shown_time(one.created_at), str(one.dropped), one.url) for one in answer.webhooks]
    print_table(
        ("ID", "CREATED (UTC)", "DROPPED", "URL"),
        rows,
        empty="the project has no webhooks; `stoker webhooks create` creates one",
    )


@command.command("create")
@click.argument("url")
@project_flag
@remote_command
def create_webhook(remote: Remote, url: str, project_id: str) -> None:
    """Create a webhook that sends a message to URL when a build ends, and print its signing secret."""
    request = pb.CreateWebhookRequest(project_id=project_id, url=url)
    answer = remote.call(WebhookServiceClient, lambda webhooks: webhooks.create_webhook(request))
    one = remote.part(answer, answer.webhook)
    print_made(f"webhook {one.webhook_id} signs with this secret, which is shown only once:", answer.secret)


@command.command("delete")
@click.argument("webhook")
@yes_flag
@remote_command
def delete_webhook(remote: Remote, webhook: str, yes: bool) -> None:  # noqa: FBT001
    """Delete a webhook. WEBHOOK is its id."""
    confirm(f"Delete the webhook {webhook}, with its pending deliveries", yes=yes)
    request = pb.DeleteWebhookRequest(webhook_id=webhook)
    answer = remote.call(WebhookServiceClient, lambda webhooks: webhooks.delete_webhook(request))
    remote.finish_json(answer)
    tell(f"the webhook {webhook} is deleted")


@command.command("test")
@click.argument("webhook")
@remote_command
def test_webhook(remote: Remote, webhook: str) -> None:
    """Send a test message, and print the result. WEBHOOK is an id."""
    request = pb.TestWebhookRequest(webhook_id=webhook)
    answer = remote.call(WebhookServiceClient, lambda webhooks: webhooks.test_webhook(request))
    one = remote.part(answer, answer.delivery)
    if one.state is not pb.DeliveryState.DELIVERED:
        reason = one.error or "it is still waiting"
        raise Problem(f"the message was not delivered: {reason}", f"`stoker webhooks deliveries {webhook}` lists all")
    tell(f"delivered; the answer had status {one.http_status}")


@command.command("deliveries")
@click.argument("webhook")
@limit_flag(50)
@remote_command
def list_deliveries(remote: Remote, webhook: str, limit: int) -> None:
    """List a webhook's deliveries, the newest first. WEBHOOK is its id."""

    async def all_(webhooks: WebhookServiceClient) -> pb.ListDeliveriesResponse:
        async def page(size: int, token: str) -> tuple[Sequence[pb.Delivery], str]:
            request = pb.ListDeliveriesRequest(webhook_id=webhook, page_size=size, page_token=token)
            answer = await webhooks.list_deliveries(request)
            return answer.deliveries, answer.next_page_token

        listed, token = await follow_pages(page, limit)
        return pb.ListDeliveriesResponse(deliveries=listed, next_page_token=token)

    answer = remote.call(WebhookServiceClient, all_)
    remote.finish_json(answer)
    rows = [
        (
            one.delivery_id,
            one.event,
            one.build_id,
            one.state.name.lower(),
            str(one.attempts),
            shown_time(one.created_at),
            one.error or (str(one.http_status) if one.http_status else ""),
        )
        for one in answer.deliveries
    ]
    titles = ("ID", "EVENT", "BUILD", "STATE", "ATTEMPTS", "CREATED (UTC)", "LAST ANSWER")
    print_table(titles, rows, empty="nothing was sent yet, or the deliveries have expired")
    if answer.next_page_token:
        tell(f"these are the newest {limit}; --limit shows more")
