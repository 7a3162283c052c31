"""What commands about builds share of titles and origins: flags that filter by them, and how they are shown."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

import click
from protobuf.wkt import Timestamp

from stoker.domain.platforms import Platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from stoker._gen.stoker.v1 import builds_pb as pb

_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


class FilterFields(TypedDict):
    """The fields of a request that filter builds."""

    search: str
    branch: str
    target: str
    platform: str
    since: Timestamp | None


def filter_flags(function: Callable[..., None]) -> Callable[..., None]:
    """Add flags that filter builds, and pass the command the request's fields as ``filters``."""

    @click.option(
        "--search", default="", show_default=False, help="Only builds whose title, origin or id contains these words."
    )
    @click.option("--branch", default="", show_default=False, help="Only builds of this branch.")
    @click.option("--target", default="", show_default=False, help="Only builds of this target.")
    @click.option(
        "--platform",
        type=click.Choice([one.value for one in Platform]),
        default=None,
        help="Only builds for this platform.",
    )
    @click.option("--since", type=_MOMENT, help="Only builds from this day or time on, in UTC.")
    @functools.wraps(function)
    def command(
        *,
        search: str,
        branch: str,
        target: str,
        platform: str | None,
        since: datetime | None,
        **arguments: Any,  # noqa: ANN401
    ) -> None:
        moment = None if since is None else Timestamp.from_datetime(since.replace(tzinfo=UTC))
        filters = FilterFields(search=search, branch=branch, target=target, platform=platform or "", since=moment)
        function(filters=filters, **arguments)

    return command


def shown_title(build: pb.Build) -> str:
    """A build's title, or a dash."""
    return build.title or "-"


def shown_origin(build: pb.Build) -> str:
    """The line below a build's title; empty if nothing is known."""
    return "" if build.origin is None else build.origin.summary


def shown_actor(build: pb.Build) -> str:
    """Who began a build: the CI's actor, else the holder of the credential; empty if it isn't known."""
    run = None if build.origin is None else build.origin.ci_run
    if run is not None and run.actor:
        return run.actor
    who = build.begun_by
    return "" if who is None else who.name or f"{who.kind} {who.id}".strip()


def origin_facts(build: pb.Build) -> list[tuple[str, str]]:
    """What is known of a build's origin, as names and values."""
    origin = build.origin
    if origin is None:
        return []
    run = origin.ci_run
    facts = [
        ("origin", origin.summary),
        ("command", origin.command),
        ("tags", ", ".join(origin.tags)),
        ("targets", ", ".join(origin.targets)),
        ("Dockerfile", ", ".join(origin.dockerfiles)),
        ("output", ", ".join(origin.outputs)),
        ("repository", origin.repository),
        ("commit", f"{origin.revision}{' with other changes' if origin.is_modified else ''}"),
        ("commit's page", origin.commit_url),
        ("workflow", "" if run is None else run.workflow),
        ("CI run", "" if run is None else run.url),
        ("labels", ", ".join(f"{name}={value}" for name, value in sorted(origin.labels.items()))),
    ]
    return [(name, value) for name, value in facts if value]
