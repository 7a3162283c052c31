"""`stoker audit`: who changed what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from protobuf.wkt import Timestamp

from stoker._gen.stoker.v1 import audit_pb as pb
from stoker._gen.stoker.v1.audit_connect import AuditServiceClient
from stoker.cli.output import print_table
from stoker.cli.remote import Remote, follow_pages, limit_flag, remote_command
from stoker.cli.terminal import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.command("audit")
@click.option("--since", type=_MOMENT, help="Events from this day or time on, in UTC.")
@click.option("--until", type=_MOMENT, help="Events before this day or time, in UTC.")
@click.option(
    "--actor",
    default="",
    show_default=False,
    help="Events by this actor: an id, an email address, or another name as listed.",
)
@click.option(
    "--action",
    default="",
    show_default=False,
    help="Events of this action, such as project.create, or project for all of its actions.",
)
@click.option("--server", "of_server", is_flag=True, help="Events of no organization. For operators of the server.")
@limit_flag(100)
@remote_command
def command(
    remote: Remote,
    since: datetime | None,
    until: datetime | None,
    actor: str,
    action: str,
    of_server: bool,  # noqa: FBT001
    limit: int,
) -> None:
    """Show the audit log of an organization.

    The newest event is first. Only owners can read it.
    """

    async def all_(audit: AuditServiceClient) -> pb.ListEventsResponse:
        async def page(size: int, token: str) -> tuple[Sequence[pb.AuditEvent], str]:
            request = pb.ListEventsRequest(
                page_size=size,
                page_token=token,
                since=_moment(since),
                until=_moment(until),
                actor=actor,
                action=action,
                of_server=of_server,
            )
            answer = await audit.list_events(request)
            return answer.events, answer.next_page_token

        listed, token = await follow_pages(page, limit)
        return pb.ListEventsResponse(events=listed, next_page_token=token)

    answer = remote.call(AuditServiceClient, all_)
    remote.finish_json(answer)
    rows = [
        (_time(event), _party(event.actor), event.action, _party(event.target), event.detail, event.address)
        for event in answer.events
    ]
    print_table(("TIME (UTC)", "WHO", "ACTION", "WHAT", "DETAIL", "FROM"), rows, empty="there are no such events")
    if answer.next_page_token:
        tell(f"these are the newest {limit}; --limit shows more")


def _moment(given: datetime | None) -> Timestamp | None:
    return None if given is None else Timestamp.from_datetime(given.replace(tzinfo=UTC))


def _time(event: pb.AuditEvent) -> str:
    return "" if event.occurred_at is None else event.occurred_at.to_datetime().strftime("%Y-%m-%d %H:%M:%S")


def _party(party: pb.AuditParty | None) -> str:
    if party is None:
        return ""
    if party.kind == "build" and party.name:
        # Titles are not unique.
        return f"build {party.name} ({party.id})"
    return party.name if party.kind == "person" and party.name else f"{party.kind} {party.name or party.id}".strip()
