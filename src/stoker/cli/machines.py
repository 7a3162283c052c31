"""`stoker machines`: machines, their size, caches and errors."""

from __future__ import annotations

import click

from stoker._gen.stoker.v1 import machines_pb as pb
from stoker._gen.stoker.v1.machines_connect import MachineServiceClient
from stoker.cli.output import print_table, shown_time
from stoker.cli.remote import Remote, remote_command
from stoker.domain.cache_policy import GIGABYTE


@click.command("machines")
@click.option("--project", "project_id", default="", show_default=False, help="Only this project's, by its name or id.")
@remote_command
def command(remote: Remote, project_id: str) -> None:
    """Show machines, their caches and last errors."""
    request = pb.ListMachinesRequest(organization_id=remote.caller.organization_id or "", project_id=project_id)
    answer = remote.call(MachineServiceClient, lambda machines: machines.list_machines(request))
    remote.finish_json(answer)
    shown = remote.shown_projects() if answer.machines else str
    rows = [
        (
            one.machine_id,
            shown(one.project_id),
            one.platform,
            _state(one),
            shown_time(one.changed_at),
            str(one.builds),
            _size(one),
            one.isolation,
            f"{one.volume_bytes / GIGABYTE:.2f} GB" if one.volume_bytes else "",
            "; ".join(filter(None, (one.problem, one.volume_problem))),
        )
        for one in answer.machines
    ]
    titles = (
        "ID",
        "PROJECT",
        "PLATFORM",
        "STATE",
        "SINCE (UTC)",
        "BUILDS",
        "HAS",
        "ISOLATION",
        "CACHE",
        "LAST PROBLEM",
    )
    print_table(titles, rows, empty="there are no machines; a project's first build creates one")


def _state(machine: pb.MachineFacts) -> str:
    if machine.waits_for:
        return f"waits for room: {machine.waits_for}"
    if machine.crashes and machine.retry_at is not None and machine.state == "stopped":
        return f"crashed {machine.crashes} times, starts at {shown_time(machine.retry_at)} at the earliest"
    return f"{machine.state} for the untrusted build {machine.build_id}" if machine.build_id else machine.state


def _size(machine: pb.MachineFacts) -> str:
    return f"{machine.cpus} CPUs, {machine.memory_bytes / GIGABYTE:.3g} GiB" if machine.cpus else ""
