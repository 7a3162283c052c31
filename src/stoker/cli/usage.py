"""`stoker usage`: time of builds and machines, and sizes of caches."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from protobuf.wkt import Timestamp

from stoker._gen.depot.core.v1 import usage_pb as pb
from stoker._gen.depot.core.v1.usage_connect import UsageServiceClient
from stoker.cli.output import print_facts, print_table, shown_seconds, shown_time
from stoker.cli.remote import Remote, follow_pages, limit_flag, remote_command
from stoker.cli.terminal import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("usage")
@click.option("--since", type=_DAY, help="First day, in UTC. Default: the first day of the month.")
@click.option("--until", type=_DAY, help="Day after the last one, in UTC. Default: until now.")
@click.option("--project", "project_id", help="Only this project's, by its name or id.")
@click.option("--by-project", is_flag=True, help="A line for each project, with its build time and cache.")
@limit_flag(1000)
@remote_command
def command(
    remote: Remote,
    since: datetime | None,
    until: datetime | None,
    project_id: str | None,
    by_project: bool,  # noqa: FBT001
    limit: int,
) -> None:
    """Show the usage of an organization or a project.

    Each project is listed with its number of builds and their machine time. Sizes of caches are the current ones,
    whatever the period.
    """
    if by_project and project_id is not None:
        raise click.UsageError("--project and --by-project exclude each other")
    start, end = _moment(since), _moment(until)
    if project_id is not None:
        _one_project(remote, pb.GetProjectUsageRequest(project_id=project_id, start_at=start, end_at=end))
    elif by_project:
        _each_project(remote, start, end, limit)
    else:
        _organization(remote, pb.GetUsageRequest(start_at=start, end_at=end))


def _organization(remote: Remote, request: pb.GetUsageRequest) -> None:
    answer = remote.call(UsageServiceClient, lambda usage: usage.get_usage(request))
    remote.finish_json(answer)
    rows = [
        (one.project_name, str(one.build_count), shown_seconds(round(one.minutes_billed * 60)))
        for one in answer.container_build
    ]
    print_table(("PROJECT", "BUILDS", "MACHINE TIME"), rows, empty="nothing was built in this time")
    caches = sum(one.total_gb for one in answer.storage)
    tell(f"from {shown_time(answer.period_start)} to {shown_time(answer.period_end)} UTC; caches take {caches:.1f} GB")


def _each_project(remote: Remote, start: Timestamp | None, end: Timestamp | None, limit: int) -> None:
    async def all_(usage: UsageServiceClient) -> pb.ListProjectUsageResponse:
        async def page(size: int, token: str) -> tuple[Sequence[pb.ProjectUsage], str]:
            request = pb.ListProjectUsageRequest(start_at=start, end_at=end, page_size=size, page_token=token)
            answer = await usage.list_project_usage(request)
            return answer.usage, answer.next_page_token

        listed, token = await follow_pages(page, limit)
        return pb.ListProjectUsageResponse(usage=listed, next_page_token=token)

    answer = remote.call(UsageServiceClient, all_)
    remote.finish_json(answer)
    titles = ("PROJECT", "BUILDS", "BUILD TIME", "CACHE")
    shown = remote.shown_projects() if answer.usage else str
    print_table(titles, [_row(one, shown) for one in answer.usage], empty="there was no project in this time")
    if answer.next_page_token:
        tell(f"these are the first {limit}; --limit shows more")


def _one_project(remote: Remote, request: pb.GetProjectUsageRequest) -> None:
    answer = remote.call(UsageServiceClient, lambda usage: usage.get_project_usage(request))
    one = remote.part(answer, answer.usage)
    print_facts(
        list(zip(("project", "builds", "build time", "cache"), _row(one, remote.shown_projects()), strict=True))
    )


def _row(usage: pb.ProjectUsage, shown: Callable[[str], str]) -> Sequence[str]:
    time = shown_seconds(usage.build_duration_seconds)
    return shown(usage.project_id), str(usage.build_count), time, f"{usage.layer_cache_size_gb} GB"


def _moment(day: datetime | None) -> Timestamp | None:
    return None if day is None else Timestamp.from_datetime(day.replace(tzinfo=UTC))
