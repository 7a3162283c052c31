"""What a webhook's message says of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stoker.domain.build_titles import origin_line, web_pages_of

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.builds import Build


def build_content(build: Build, origin: BuildOrigin, page: str) -> dict[str, Any]:
    """A build that has ended, as JSON.

    Args:
        build: the build.
        origin: where it comes from.
        page: the address of its page.
    """
    return {
        "build_id": build.id,
        "title": build.title,
        "status": build.status.value,
        "error": build.error,
        "duration_seconds": build.duration_seconds,
        "created_at": time_text(build.created_at),
        "started_at": time_text(build.started_at),
        "finished_at": time_text(build.finished_at),
        "url": page,
        "origin": _origin(origin),
    }


def _origin(origin: BuildOrigin) -> dict[str, Any]:
    commit, run = origin.commit, origin.run
    return {
        "summary": origin_line(origin),
        "command": origin.command,
        "tags": origin.tags,
        "targets": origin.targets,
        "repository": commit.repository.full_name,
        "branch": commit.ref.branch,
        "git_tag": commit.ref.tag,
        "pull_request": commit.ref.pull_request,
        "revision": commit.revision,
        "commit_url": web_pages_of(origin).commit(commit.revision),
        "ci_run": None
        if run is None
        else {
            "provider": run.provider.value,
            "number": run.number,
            "workflow": run.workflow,
            "actor": run.actor,
            "url": run.url,
        },
    }


def time_text(moment: datetime | None) -> str | None:
    """A time as in RFC 3339; None stays None."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
