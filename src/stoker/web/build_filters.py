"""The filter of a list of builds, in the address of its page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stoker.domain.builds import BuildFilter, BuildStatus
from stoker.domain.errors import InvalidInput
from stoker.domain.platforms import platform_named

if TYPE_CHECKING:
    from starlette.requests import Request

_DAY = "%Y-%m-%d"


def asked_filter(request: Request) -> BuildFilter:
    """The filter that a page's address asks for.

    Raises:
        InvalidInput: a part of it can't be right.
    """

    def asked(name: str) -> str:
        return request.query_params.get(name, "").strip()

    return BuildFilter(
        status=_status(asked("status")),
        begun_by=asked("by"),
        search=asked("q"),
        branch=asked("branch"),
        target=asked("target"),
        platform=platform_named(asked("platform")),
        since=_day(asked("since")),
    )


def shown_filter(wanted: BuildFilter) -> dict[str, str]:
    """The fields of the form of that filter; those that match all builds are empty."""
    return {
        "q": wanted.search,
        "status": "" if wanted.status is None else wanted.status.value,
        "branch": wanted.branch,
        "target": wanted.target,
        "platform": "" if wanted.platform is None else wanted.platform.value,
        "since": "" if wanted.since is None else wanted.since.strftime(_DAY),
        "by": wanted.begun_by,
    }


def _status(text: str) -> BuildStatus | None:
    if not text:
        return None
    try:
        return BuildStatus(text)
    except ValueError:
        raise InvalidInput(
            f'"{text[:40]}" is not the status of a build; use one of: {", ".join(BuildStatus)}'
        ) from None


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, _DAY).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInput(f'"{text[:40]}" is not a day; write it like 2026-01-31') from None
