"""`stoker builds`: the builds of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker._gen.depot.core.v1 import build_pb as core_pb
from stoker._gen.depot.core.v1.build_connect import BuildServiceClient as CoreBuildServiceClient
from stoker._gen.depot.core.v1.build_pb import Build as CoreBuild
from stoker._gen.stoker.v1 import builds_pb as pb
from stoker._gen.stoker.v1.builds_connect import BuildServiceClient
from stoker.cli.build_logs import STATUS_WORDS, logs, print_failure, watch
from stoker.cli.build_origins import (
    FilterFields,
    filter_flags,
    origin_facts,
    shown_actor,
    shown_origin,
    shown_title,
)
from stoker.cli.output import print_facts, print_made, print_table, shown_duration, shown_time
from stoker.cli.project_choice import project_flag
from stoker.cli.remote import Remote, api_command, follow_pages, limit_flag, remote_command
from stoker.cli.terminal import Problem, one_line, say, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATUSES = {word: status for status, word in STATUS_WORDS.items()}


@click.group("builds")
def command() -> None:
    """Builds of a project."""


@command.command("list")
@project_flag
@click.option("--status", type=click.Choice(list(_STATUSES)), help="Only builds of this status.")
@click.option(
    "--triggered-by",
    "--begun-by",
    "begun_by",
    default="",
    show_default=False,
    help="Only builds of this id, or of a name that contains this.",
)
@filter_flags
@limit_flag(50)
@remote_command
def list_builds(
    remote: Remote, project_id: str, status: str | None, begun_by: str, filters: FilterFields, limit: int
) -> None:
    """List a project's builds, the newest first."""
    wanted = CoreBuild.Status.UNSPECIFIED if status is None else _STATUSES[status]

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
            ("page", one.build_url),
        ]
    )
    request = pb.ListBuildWarningsRequest(build_id=build)
    for warning in remote.call(BuildServiceClient, lambda builds: builds.list_build_warnings(request)).warnings:
        place = f"{warning.filename}:{warning.line}: " if warning.filename else ""
        say(one_line(f"warning: {place}{warning.message}"))
    if one.status is CoreBuild.Status.FAILED:
        print_failure(remote, build)


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


@command.command("open")
@click.argument("build")
@api_command
def open_build(remote: Remote, build: str) -> None:
    """Open a build's page in a browser. BUILD is its id."""
    answer = remote.call(BuildServiceClient, lambda builds: builds.get_build(pb.GetBuildRequest(build_id=build)))
    url = "" if answer.build is None else answer.build.build_url
    if not url.startswith(("https://", "http://")):
        raise Problem(f"the server says no address of build {build}", "it may be older than this command")
    say(url)
    click.launch(url)


@command.command("share")
@click.argument("build")
@click.option("--stop", is_flag=True, help="Take the public page away.")
@remote_command
def share_build(remote: Remote, build: str, stop: bool) -> None:  # noqa: FBT001
    """Print the address of a public page of a build and its logs. BUILD is its id.

    Anyone who has the address can see them, until `--stop`.
    """
    if stop:
        request = core_pb.StopSharingBuildRequest(build_id=build)
        stopped = remote.call(CoreBuildServiceClient, lambda builds: builds.stop_sharing_build(request))
        remote.finish_json(stopped)
        tell(f"build {build} is not shared any more")
        return
    wanted = core_pb.ShareBuildRequest(build_id=build)
    answer = remote.call(CoreBuildServiceClient, lambda builds: builds.share_build(wanted))
    remote.finish_json(answer)
    print_made(f"anyone with this address can see build {build} and its logs:", answer.share_url)


command.add_command(logs)
command.add_command(watch)


def _status(build: pb.Build) -> str:
    return STATUS_WORDS.get(build.status, build.status.name.lower())


def _duration(build: pb.Build) -> str:
    if build.started_at is None or build.finished_at is None:
        return ""
    seconds = (build.finished_at.to_datetime() - build.started_at.to_datetime()).total_seconds()
    return shown_duration(max(seconds, 0.0))
