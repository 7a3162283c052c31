"""A build: one client run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from stoker.domain.errors import FailedPrecondition
from stoker.domain.shortening import shortened

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.audit import Party
    from stoker.domain.platforms import Platform

MAX_ERROR_LENGTH = 4096
_CANCELED = re.compile(r"context canceled|code = Canceled\b|\bCanceled: ")


class BuildStatus(StrEnum):
    """The status of a build."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def finished(self) -> bool:
        """Whether the status is final."""
        return self is not BuildStatus.RUNNING


@dataclass(frozen=True, slots=True)
class BuildResult:
    """How a build ended."""

    status: BuildStatus
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Build:
    """One client run in one project. What an ``untrusted`` one writes is dropped at its end, unseen by others.

    ``begun_by`` is the holder of the credential that created it, by its name then; None if it wasn't recorded.
    ``title`` is empty as long as nothing is known that names it (`build_titles`).
    """

    id: str
    organization_id: str
    project_id: str
    status: BuildStatus
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    untrusted: bool = False
    begun_by: Party | None = None
    title: str = ""

    @property
    def duration_seconds(self) -> float | None:
        """From the first endpoint to the end; None while it runs, or if it never had an endpoint."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0.0, (self.finished_at - self.started_at).total_seconds())


@dataclass(frozen=True, slots=True)
class BuildFilter:
    """A filter of builds; None and "" match all.

    Attributes:
        status: of the build.
        begun_by: an id, or a part of a name, of who began it, or of the actor of the CI.
        search: words that its title, origin or id contains, each of them.
        branch: the whole name.
        target: the whole name.
        platform: that it has or had a machine for, or waits for.
        since: created then or later.
    """

    status: BuildStatus | None = None
    begun_by: str = ""
    search: str = ""
    branch: str = ""
    target: str = ""
    platform: Platform | None = None
    since: datetime | None = None


ALL_BUILDS = BuildFilter()


def bounded_error(text: str) -> str:
    """``text``, without its middle if it is longer than the limit."""
    return shortened(text, MAX_ERROR_LENGTH)


def explained_error(error: str | None, hint: str) -> str:
    """A build's error with a hint. If both are longer than the limit, the hint stays whole."""
    if not error:
        return bounded_error(hint)
    return bounded_error(f"{shortened(error, max(MAX_ERROR_LENGTH - len(hint) - 1, 0))}\n{hint}")


def canceled_by(name: str) -> str:
    """The error of a build that somebody canceled who is not its client."""
    return f"canceled by {name}" if name else "canceled"


def is_cancellation(error: str) -> bool:
    """Whether a step's error only says that it was canceled (Go's context.Canceled, gRPC's code)."""
    return _CANCELED.search(error) is not None


def require_running(build: Build) -> None:
    """Check that the build is running.

    Raises:
        FailedPrecondition: it ended already.
    """
    if not build.status.finished:
        return
    if build.status is BuildStatus.CANCELED and build.error:
        raise FailedPrecondition(f"build {build.id} was {build.error}; create a new build to go on")
    reason = f" ({build.error})" if build.error else ""
    raise FailedPrecondition(
        f"build {build.id} has ended already: it {_PAST[build.status]}{reason}; create a new build to go on"
    )


_PAST = {
    BuildStatus.RUNNING: "is running",
    BuildStatus.SUCCEEDED: "succeeded",
    BuildStatus.FAILED: "failed",
    BuildStatus.CANCELED: "was canceled",
}
