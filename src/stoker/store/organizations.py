"""Organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, insert, select, update

from stoker.domain.projects import Organization
from stoker.store.tables.organizations import organizations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stoker.store.database import Transaction


async def add_organization(tx: Transaction, organization: Organization) -> None:
    """Store a new organization."""
    await tx.execute(
        insert(organizations).values(id=organization.id, name=organization.name, created_at=organization.created_at)
    )


def _organization(row: Row[Any]) -> Organization:
    return Organization(id=row.id, name=row.name, created_at=row.created_at)


async def find_organization(tx: Transaction, organization_id: str) -> Organization | None:
    """The organization of that id."""
    row = (await tx.execute(select(organizations).where(organizations.c.id == organization_id))).one_or_none()
    return None if row is None else _organization(row)


async def find_organizations(tx: Transaction, ids: Iterable[str]) -> list[Organization]:
    """The organizations with these ids, oldest first."""
    rows = await tx.execute(select(organizations).where(organizations.c.id.in_(list(ids))).order_by(organizations.c.id))
    return [_organization(row) for row in rows]


async def oldest_organization(tx: Transaction) -> Organization | None:
    """The organization that was made first; None on a new server."""
    row = (await tx.execute(select(organizations).order_by(organizations.c.id).limit(1))).one_or_none()
    return None if row is None else _organization(row)


async def rename_organization(tx: Transaction, organization_id: str, name: str) -> None:
    """Rename an organization."""
    await tx.execute(update(organizations).where(organizations.c.id == organization_id).values(name=name))
