"""`stoker projects`: create, change and delete projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click
from connectrpc.client import ResponseMetadata

from stoker._gen.depot.core.v1 import project_pb as pb
from stoker._gen.depot.core.v1.project_connect import ProjectServiceClient
from stoker.cli.confirmation import confirm, confirm_by_name, yes_flag
from stoker.cli.output import print_facts, print_made, print_table, shown_time
from stoker.cli.remote import Remote, remote_command
from stoker.cli.terminal import tell
from stoker.domain.cache_policy import GIGABYTE
from stoker.domain.projects import NOTE_HEADER
from stoker.domain.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorated = TypeVar("Decorated", bound=Callable[..., object])

_PREFIX = "HARDWARE_"
_HARDWARE = {wire.name.removeprefix(_PREFIX).lower(): wire for wire in pb.Hardware if wire.name.startswith(_PREFIX)}
_DEFAULT_REGION = "us-east-1"


@click.group("projects")
def command() -> None:
    """Projects, each with its own cache."""


@command.command("list")
@remote_command
def list_projects(remote: Remote) -> None:
    """List the projects."""
    answer = remote.call(ProjectServiceClient, lambda projects: projects.list_projects(pb.ListProjectsRequest()))
    remote.finish_json(answer)
    rows = [
        (one.project_id, one.name, one.region_id, _hardware(one), _cache(one), shown_time(one.created_at))
        for one in answer.projects
    ]
    titles = ("ID", "NAME", "REGION", "HARDWARE", "CACHE", "CREATED (UTC)")
    print_table(titles, rows, empty="there are no projects; `stoker projects create NAME` creates one")


def _shape(function: Decorated) -> Decorated:
    for option in (
        click.option("--keep-days", type=click.IntRange(1), help="Evict what was not used for this many days."),
        click.option("--keep-gb", type=click.IntRange(1), help="Largest cache, in GB (2^30 bytes)."),
        click.option("--hardware", type=click.Choice(list(_HARDWARE)), help="CPUs and GB of memory of its machines."),
    ):
        function = option(function)
    return function


@command.command("create")
@click.argument("name")
@click.option("--region", default=_DEFAULT_REGION, show_default=True)
@_shape
@remote_command
def create_project(
    remote: Remote, name: str, region: str, hardware: str | None, keep_gb: int | None, keep_days: int | None
) -> None:
    """Create a project, and print its id."""
    request = pb.CreateProjectRequest(name=name, region_id=region)
    _set_shape(request, hardware, keep_gb, keep_days)
    answer = remote.call(ProjectServiceClient, lambda projects: projects.create_project(request))
    one = remote.part(answer, answer.project)
    print_made(f"created the project {one.name}:", one.project_id)


@command.command("show")
@click.argument("project")
@remote_command
def show_project(remote: Remote, project: str) -> None:
    """Show a project. PROJECT is its name or id."""
    answer = _get(remote, project)
    one = remote.part(answer, answer.project)
    print_facts(
        [
            ("id", one.project_id),
            ("name", one.name),
            ("organization", one.organization_id),
            ("region", one.region_id),
            ("hardware", _hardware(one)),
            ("cache", _cache(one)),
            ("created (UTC)", shown_time(one.created_at)),
        ]
    )


@command.command("update")
@click.argument("project")
@click.option("--name")
@click.option("--region")
@_shape
@remote_command
def update_project(
    remote: Remote,
    project: str,
    name: str | None,
    region: str | None,
    hardware: str | None,
    keep_gb: int | None,
    keep_days: int | None,
) -> None:
    """Change a project. PROJECT is its name or id; options that aren't given stay as they are."""
    request = pb.UpdateProjectRequest(project_id=project)
    if name is not None:
        request.name = name
    if region is not None:
        request.region_id = region
    _set_shape(request, hardware, keep_gb, keep_days)
    if (name, region, hardware, keep_gb, keep_days) == (None,) * 5:
        raise click.UsageError("say what to change: --name, --region, --hardware, --keep-gb or --keep-days")
    with ResponseMetadata() as metadata:
        answer = remote.call(ProjectServiceClient, lambda projects: projects.update_project(request))
    one = remote.part(answer, answer.project)
    tell(f"{project} is {one.name}, {_hardware(one)}, {_cache(one)} of cache now")
    if note := metadata.headers.get(NOTE_HEADER):
        tell(f"{project} is in {one.region_id} now: {note}")


@command.command("delete")
@click.argument("project")
@yes_flag
@remote_command
def delete_project(remote: Remote, project: str, yes: bool) -> None:  # noqa: FBT001
    """Delete a project with its cache, tokens and builds. PROJECT is its name or id."""
    name = _name(remote, project)
    confirm_by_name(f"This deletes the project {name} ({project}) with its cache, tokens and builds", name, yes=yes)
    request = pb.DeleteProjectRequest(project_id=project)
    answer = remote.call(ProjectServiceClient, lambda projects: projects.delete_project(request))
    remote.finish_json(answer)
    tell(f"the project {name} is deleted")


@command.command("reset")
@click.argument("project")
@yes_flag
@remote_command
def reset_project(remote: Remote, project: str, yes: bool) -> None:  # noqa: FBT001
    """Delete a project's cache, so that its next build starts without one. PROJECT is its name or id."""
    name = _name(remote, project)
    confirm(f"Destroy the cache of {name} ({project})", yes=yes)
    request = pb.ResetProjectRequest(project_id=project)
    answer = remote.call(ProjectServiceClient, lambda projects: projects.reset_project(request))
    remote.finish_json(answer)
    tell(f"the cache of {name} is destroyed")


def _get(remote: Remote, project: str) -> pb.GetProjectResponse:
    request = pb.GetProjectRequest(project_id=project)
    return remote.call(ProjectServiceClient, lambda projects: projects.get_project(request))


def _name(remote: Remote, project: str) -> str:
    found = _get(remote, project).project
    return found.name if found is not None else project


def _set_shape(
    request: pb.CreateProjectRequest | pb.UpdateProjectRequest,
    hardware: str | None,
    keep_gb: int | None,
    keep_days: int | None,
) -> None:
    if hardware is not None:
        request.hardware = _HARDWARE[hardware]
    if keep_gb is None and keep_days is None:
        return
    policy = pb.CachePolicy(keep_days=keep_days or 0)
    if keep_gb is not None:
        policy.keep_bytes = keep_gb * GIGABYTE
    request.cache_policy = policy


def _hardware(project: pb.Project) -> str:
    return project.hardware.name.removeprefix(_PREFIX).lower()


def _cache(project: pb.Project) -> str:
    policy = project.cache_policy
    if policy is None:
        return ""
    return f"{policy.keep_bytes / GIGABYTE:g} GB, {counted(policy.keep_days, 'day') if policy.keep_days else 'any age'}"
