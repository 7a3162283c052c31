"""Projects. A deleted one stays as a row, so that its builds keep meaning, but nothing here returns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, bindparam, func, insert, select, update

from stoker.domain.cache_policy import CachePolicy
from stoker.domain.hardware import Hardware
from stoker.domain.projects import Project
from stoker.store.tables.organizations import projects

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from stoker.store.database import Transaction


def project_of_row(row: Row[Any]) -> Project:
    """A project from what was selected of its table."""
    return Project(
        id=row.id,
        organization_id=row.organization_id,
        name=row.name,
        region_id=row.region_id,
        hardware=Hardware(row.hardware),
        cache_policy=CachePolicy(keep_bytes=row.keep_bytes, keep_days=row.keep_days),
        created_at=row.created_at,
    )


async def add_project(tx: Transaction, project: Project) -> None:
    """Store a new project."""
    await tx.execute(
        insert(projects).values(
            id=project.id,
            organization_id=project.organization_id,
            name=project.name,
            region_id=project.region_id,
            hardware=project.hardware.value,
            keep_bytes=project.cache_policy.keep_bytes,
            keep_days=project.cache_policy.keep_days,
            created_at=project.created_at,
        )
    )


_BY_ID = select(projects).where(projects.c.id == bindparam("wanted"), projects.c.deleted_at.is_(None))


async def find_project(tx: Transaction, project_id: str) -> Project | None:
    """The project of that id."""
    row = (await tx.execute(_BY_ID, {"wanted": project_id})).one_or_none()
    return None if row is None else project_of_row(row)


async def region_of(tx: Transaction, project_id: str) -> str:
    """The region of a project; empty if there is no such project."""
    project = await find_project(tx, project_id)
    return "" if project is None else project.region_id


async def list_projects(tx: Transaction, organization_ids: Iterable[str], *, only: str | None = None) -> list[Project]:
    """The projects of some organizations, oldest first; with ``only``, at most that one."""
    query = select(projects).where(
        projects.c.organization_id.in_(list(organization_ids)), projects.c.deleted_at.is_(None)
    )
    if only is not None:
        query = query.where(projects.c.id == only)
    return [project_of_row(row) for row in await tx.execute(query.order_by(projects.c.id))]


async def count_projects(tx: Transaction, organization_id: str) -> int:
    """How many projects an organization has."""
    query = (
        select(func.count())
        .select_from(projects)
        .where(projects.c.organization_id == organization_id, projects.c.deleted_at.is_(None))
    )
    return (await tx.execute(query)).scalar_one()


async def sum_keep_bytes(tx: Transaction, organization_id: str) -> int:
    """What the cache policies of an organization's projects keep together, in bytes."""
    query = select(func.coalesce(func.sum(projects.c.keep_bytes), 0)).where(
        projects.c.organization_id == organization_id, projects.c.deleted_at.is_(None)
    )
    return int((await tx.execute(query)).scalar_one())


async def save_project(tx: Transaction, project: Project) -> None:
    """Store what can change in a project."""
    await tx.execute(
        update(projects)
        .where(projects.c.id == project.id, projects.c.deleted_at.is_(None))
        .values(
            name=project.name,
            region_id=project.region_id,
            hardware=project.hardware.value,
            keep_bytes=project.cache_policy.keep_bytes,
            keep_days=project.cache_policy.keep_days,
        )
    )


async def mark_project_deleted(tx: Transaction, project_id: str, now: datetime) -> None:
    """From now on the project isn't there for anyone."""
    await tx.execute(update(projects).where(projects.c.id == project_id).values(deleted_at=now))
