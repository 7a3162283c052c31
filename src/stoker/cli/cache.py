"""`stoker cache`: what is in a project's caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker._gen.stoker.v1 import caches_pb as pb
from stoker._gen.stoker.v1.caches_connect import CacheServiceClient
from stoker.cli.output import print_table, shown_time
from stoker.cli.remote import Remote, remote_command
from stoker.cli.terminal import tell, write
from stoker.domain.cache_policy import GIGABYTE
from stoker.domain.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

_USUAL_DAYS = (1, 3, 7, 14, 30)
_USUAL_GB = (5, 10, 25, 50, 100)
_MEGABYTE = 1024**2
_LONGEST_DESCRIPTION = 100
_UNLIMITED = 1 << 62


@click.group("cache")
def command() -> None:
    """Layer caches, one for each project and platform."""


@command.command("show")
@click.argument("project")
@click.option("--keep-gb", type=click.IntRange(0), help="Show what a policy of this many GB (2^30 bytes) would free.")
@click.option("--keep-days", type=click.IntRange(0), help="The same for days without use; 0 for no limit.")
@remote_command
def show(remote: Remote, project: str, keep_gb: int | None, keep_days: int | None) -> None:
    """Show what is in a project's caches, and how much its policy and others would free. PROJECT is its name or id."""
    if keep_gb is None and keep_days is None:
        asked = [_policy(None, days) for days in _USUAL_DAYS] + [_policy(gb, None) for gb in _USUAL_GB]
    else:
        asked = [_policy(keep_gb, keep_days)]
    request = pb.ShowCacheRequest(project_id=project, policies=asked)
    answer = remote.call(CacheServiceClient, lambda caches: caches.show_cache(request))
    remote.finish_json(answer)
    if not answer.caches:
        tell("there is no cache yet, or none was inspected; build something first")
    for number, cache in enumerate(answer.caches):
        if number:
            write()
        _show(cache)


def _policy(keep_gb: int | None, keep_days: int | None) -> pb.KeepPolicy:
    keep_bytes = _UNLIMITED if keep_gb is None else keep_gb * GIGABYTE
    return pb.KeepPolicy(keep_bytes=keep_bytes, keep_days=keep_days or 0)


def _show(cache: pb.PlatformCache) -> None:
    used = f", {_size(cache.in_use_bytes)} of it in use" if cache.in_use_bytes else ""
    write(f"{cache.platform}: {_size(cache.total_bytes)}{used}, as of {shown_time(cache.taken_at)} UTC\n")
    kinds = [(share.kind, str(share.records), _size(share.bytes)) for share in cache.kinds]
    print_table(("KIND", "RECORDS", "SIZE"), kinds, empty="it is empty")
    if not cache.largest:
        return
    write("\nThe largest records:")
    rows = [
        (_size(record.bytes), record.kind, str(record.uses), shown_time(record.last_used_at), _short(record))
        for record in cache.largest
    ]
    print_table(("SIZE", "KIND", "USES", "LAST USED (UTC)", "WHAT MADE IT"), rows, empty="")
    write("\nWhat a policy would free:")
    print_table(("KEEP", "FOR ITS AGE", "FOR ITS SIZE", "LEFT"), _outlooks(cache), empty="")


def _outlooks(cache: pb.PlatformCache) -> Iterator[tuple[str, str, str, str]]:
    for outlook in cache.outlooks:
        if outlook.policy is None:
            continue
        left = cache.total_bytes - outlook.by_age_bytes - outlook.by_size_bytes
        mark = " (now)" if outlook.is_current else ""
        yield _name(outlook.policy) + mark, _size(outlook.by_age_bytes), _size(outlook.by_size_bytes), _size(left)


def _name(policy: pb.KeepPolicy) -> str:
    size = "" if policy.keep_bytes >= _UNLIMITED else f"{policy.keep_bytes / GIGABYTE:.4g} GB"
    days = counted(policy.keep_days, "day") if policy.keep_days else ""
    return ", ".join(part for part in (size, days) if part) or "everything"


def _size(size_bytes: int) -> str:
    if size_bytes >= GIGABYTE:
        return f"{size_bytes / GIGABYTE:.2f} GB"
    return f"{size_bytes / _MEGABYTE:.1f} MB"


def _short(record: pb.CacheRecord) -> str:
    text = " ".join(record.description.split())
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…"
