"""Encodes where a build comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker._gen.stoker.v1 import builds_pb as pb
from stoker.domain.build_titles import origin_line, web_pages_of

if TYPE_CHECKING:
    from stoker.domain.build_origins import BuildOrigin, CiRun


def encode_origin(origin: BuildOrigin) -> pb.BuildOrigin:
    """The message of an origin."""
    commit = origin.commit
    encoded = pb.BuildOrigin(
        summary=origin_line(origin),
        command=origin.command,
        tags=list(origin.tags),
        targets=list(origin.targets),
        outputs=list(origin.outputs),
        dockerfiles=list(origin.dockerfiles),
        labels=dict(origin.labels),
        repository=commit.repository.full_name,
        revision=commit.revision,
        is_modified=commit.is_dirty,
        branch=commit.ref.branch,
        git_tag=commit.ref.tag,
        pull_request=commit.ref.pull_request,
        commit_url=web_pages_of(origin).commit(commit.revision),
    )
    if origin.run is not None:
        encoded.ci_run = _run(origin.run)
    return encoded


def _run(run: CiRun) -> pb.CiRun:
    return pb.CiRun(provider=run.provider.value, number=run.number, workflow=run.workflow, actor=run.actor, url=run.url)
