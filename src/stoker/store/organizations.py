"""Organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from stoker.domain.projects import Organization
from stoker.store.tables import organizations

if TYPE_CHECKING:
    from stoker.store.database import Transaction


async def add_organization(tx: Transaction, organization: Organization) -> None:
    """Store a new organization."""
    await tx.execute(
        insert(organizations).values(id=organization.id, name=organization.name, created_at=organization.created_at)
    )


async def list_organizations(tx: Transaction) -> list[Organization]:
    """All organizations, oldest first."""
    rows = await tx.execute(select(organizations).order_by(organizations.c.id))
    return [Organization(id=row.id, name=row.name, created_at=row.created_at) for row in rows]
