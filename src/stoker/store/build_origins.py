"""Where builds come from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, bindparam, select

from stoker.domain.build_origins import NO_ORIGIN, BuildOrigin, CiRun, CommitSource, searchable_text, subject_of
from stoker.domain.git_addresses import GitRef, Repository
from stoker.domain.trust_policies import ProviderKind
from stoker.store.inserts import insert_or_replace
from stoker.store.tables.origins import build_origins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.store.database import Transaction

_OF_BUILD = select(build_origins).where(build_origins.c.build_id == bindparam("wanted"))


async def origin_of(tx: Transaction, build_id: str) -> BuildOrigin:
    """What is known of a build's origin."""
    row = (await tx.execute(_OF_BUILD, {"wanted": build_id})).one_or_none()
    return NO_ORIGIN if row is None else _origin_of_row(row)


async def origins_of(tx: Transaction, build_ids: Sequence[str]) -> dict[str, BuildOrigin]:
    """What is known of the origins of builds; those of which nothing is known are left out."""
    query = select(build_origins).where(build_origins.c.build_id.in_(build_ids))
    return {row.build_id: _origin_of_row(row) for row in await tx.execute(query)}


async def save_origin(tx: Transaction, build_id: str, origin: BuildOrigin, title: str) -> None:
    """Store what is known of a build's origin, with the title that it gives the build."""
    await tx.execute(insert_or_replace(tx, build_origins).values(build_id=build_id, **_values(origin, title)))


def _values(origin: BuildOrigin, title: str) -> dict[str, Any]:
    commit, run = origin.commit, origin.run
    return {
        "command": origin.command,
        "tags": _written(origin.tags),
        "targets": _written(origin.targets),
        "outputs": _written(origin.outputs),
        "dockerfiles": _written(origin.dockerfiles),
        "labels": _written(origin.labels),
        "repository_host": commit.repository.host,
        "repository": commit.repository.path,
        "branch": commit.ref.branch,
        "git_tag": commit.ref.tag,
        "pull_request": commit.ref.pull_request,
        "revision": commit.revision,
        "is_dirty": commit.is_dirty,
        "ci_provider": None if run is None else run.provider.value,
        "ci_host": "" if run is None else run.host,
        "ci_number": "" if run is None else run.number,
        "ci_workflow": "" if run is None else run.workflow,
        "ci_actor": "" if run is None else run.actor,
        "ci_url": "" if run is None else run.url,
        "subject": subject_of(origin),
        "search": searchable_text(origin, title),
    }


def _written(names: Sequence[object]) -> str:
    return json.dumps(names, ensure_ascii=False)


def written_name(name: str) -> str:
    """A name as it is in a stored list, to look for it."""
    return json.dumps(name, ensure_ascii=False)


def _origin_of_row(row: Row[Any]) -> BuildOrigin:
    run = None
    if row.ci_provider is not None:
        run = CiRun(
            ProviderKind(row.ci_provider),
            host=row.ci_host,
            number=row.ci_number,
            workflow=row.ci_workflow,
            actor=row.ci_actor,
            url=row.ci_url,
        )
    commit = CommitSource(
        repository=Repository(row.repository_host, row.repository),
        ref=GitRef(row.branch, row.git_tag, row.pull_request),
        revision=row.revision,
        is_dirty=row.is_dirty,
    )
    return BuildOrigin(
        command=row.command,
        tags=tuple(json.loads(row.tags)),
        targets=tuple(json.loads(row.targets)),
        outputs=tuple(json.loads(row.outputs)),
        dockerfiles=tuple(json.loads(row.dockerfiles)),
        labels=tuple((name, value) for name, value in json.loads(row.labels)),
        commit=commit,
        run=run,
    )
