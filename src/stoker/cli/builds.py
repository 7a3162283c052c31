"""`stoker builds`: the builds of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker._gen.depot.core.v1.build_pb import Build as CoreBuild
from stoker._gen.stoker.v1 import builds_pb as pb
from stoker._gen.stoker.v1.builds_connect import BuildServiceClient
from stoker.cli.build_origins import (
    FilterFields,
    filter_flags,
    origin_facts,
    shown_actor,
    shown_origin,
    shown_title,
)
from stoker.cli.output import print_facts, print_table, shown_seconds, shown_time
from stoker.cli.remote import Remote, follow_pages, limit_flag, remote_command
from stoker.cli.terminal import one_line, say, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

_Status = CoreBuild.Status
_STATUSES = {one.name.lower(): one for one in (_Status.RUNNING, _Status.SUCCESS, _Status.FAILED, _Status.CANCELED)}


@click.group("builds")
def command() -> None:
    """Builds of a project."""


@command.command("list")
@click.option("--project", "project_id", envvar="DEPOT_PROJECT_ID", required=True, help="Id of the project.")
@click.option("--status", type=click.Choice(list(_STATUSES)), help="Only builds of this status.")
@click.option(
    "--triggered-by",
    "--begun-by",
    "begun_by",
    default="",
    help="Only builds of this id, or of a name that contains this.",
)
@filter_flags
@limit_flag(50)
@remote_command
def list_builds(
    remote: Remote, project_id: str, status: str | None, begun_by: str, filters: FilterFields, limit: int
) -> None:
    """List a project's builds, the newest first."""
    wanted = _Status.UNSPECIFIED if status is None else _STATUSES[status]

    async def all_(builds: BuildServiceClient) -> pb.ListBuildsResponse:
        async def page(size: int, token: str) -> tuple[Sequence[pb.Build], str]:
            request = pb.ListBuildsRequest(
                project_id=project_id, page_size=size, page_token=token, status=wanted, begun_by=begun_by, **filters
            )
            answer = await builds.list_builds(request)
            return answer.builds, answer.next_page_token

        listed, token = await follow_pages(page, limit)
        return pb.ListBuildsResponse(builds=listed, next_page_token=token)

    answer = remote.call(BuildServiceClient, all_)
    remote.finish_json(answer)
    rows = [
        (
            one.build_id,
            shown_title(one),
            _status(one),
            shown_origin(one),
            shown_time(one.created_at),
            _duration(one),
            shown_actor(one),
        )
        for one in answer.builds
    ]
    titles = ("ID", "BUILD", "STATUS", "ORIGIN", "CREATED (UTC)", "DURATION", "TRIGGERED BY")
    is_filtered = status or begun_by or any(filters.values())
    nothing = "no such builds" if is_filtered else "nothing was built in this project yet"
    print_table(titles, rows, empty=nothing)
    if answer.next_page_token:
        tell(f"these are the newest {limit}; --limit shows more")


@command.command("show")
@click.argument("build")
@remote_command
def show_build(remote: Remote, build: str) -> None:
    """Show a build. BUILD is its id."""
    answer = remote.call(BuildServiceClient, lambda builds: builds.get_build(pb.GetBuildRequest(build_id=build)))
    one = remote.part(answer, answer.build)
    print_facts(
        [
            ("id", one.build_id),
            ("build", shown_title(one)),
            ("status", _status(one)),
            ("created (UTC)", shown_time(one.created_at)),
            ("started (UTC)", shown_time(one.started_at)),
            ("finished (UTC)", shown_time(one.finished_at)),
            ("duration", _duration(one)),
            ("steps", f"{one.total_steps}, {one.cached_steps} of them cached"),
            ("triggered by", shown_actor(one)),
            *origin_facts(one),
            *([("error", one.error)] if one.error else []),
        ]
    )
    request = pb.ListBuildWarningsRequest(build_id=build)
    for warning in remote.call(BuildServiceClient, lambda builds: builds.list_build_warnings(request)).warnings:
        place = f"{warning.filename}:{warning.line}: " if warning.filename else ""
        say(one_line(f"warning: {place}{warning.message}"))


@command.command("cancel")
@click.argument("build")
@remote_command
def cancel_build(remote: Remote, build: str) -> None:
    """Cancel a running build. BUILD is its id.

    Its client gets an error that says who canceled it.
    """
    request = pb.CancelBuildRequest(build_id=build)
    answer = remote.call(BuildServiceClient, lambda builds: builds.cancel_build(request))
    remote.finish_json(answer)
    tell(f"build {build} is canceled")


def _status(build: pb.Build) -> str:
    return build.status.name.lower()


def _duration(build: pb.Build) -> str:
    if not build.has_field("build_duration_seconds"):
        return ""
    return shown_seconds(build.build_duration_seconds)
