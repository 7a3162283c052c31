"""`stoker queue`: builds that wait for a machine."""

from __future__ import annotations

import click

from stoker._gen.stoker.v1 import queue_pb as pb
from stoker._gen.stoker.v1.queue_connect import QueueServiceClient
from stoker.cli.output import print_table, shown_time
from stoker.cli.remote import Remote, remote_command


@click.command("queue")
@remote_command
def command(remote: Remote) -> None:
    """Show the builds that wait for a machine.

    They wait because their project, their organization or the server is at its limit. The next one is first.
    """
    request = pb.ListQueueRequest(organization_id=remote.caller.organization_id or "")
    answer = remote.call(QueueServiceClient, lambda queue: queue.list_queue(request))
    remote.finish_json(answer)
    shown = remote.shown_projects() if answer.builds else str
    rows = [
        (
            str(one.position or ""),
            one.build_id,
            shown(one.project_id),
            one.platform,
            shown_time(one.waits_since),
            one.reason or "its turn",
        )
        for one in answer.builds
    ]
    print_table(
        ("POSITION", "BUILD", "PROJECT", "PLATFORM", "SINCE (UTC)", "WAITS FOR"), rows, empty="no builds are waiting"
    )
