"""Invitations, found by the hash of their secret. One that was used or revoked is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, insert, select

from stoker.domain.people import Invitation, Role
from stoker.store.tables.people import invitations

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.store.database import Transaction


def _invitation(row: Row[Any]) -> Invitation:
    return Invitation(
        id=row.id,
        organization_id=row.organization_id,
        role=Role(row.role),
        email=row.email,
        makes_operator=bool(row.makes_operator),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


async def add_invitation(tx: Transaction, invitation: Invitation, secret_hash: bytes) -> None:
    """Store a new invitation under the hash of its secret."""
    await tx.execute(
        insert(invitations).values(
            id=invitation.id,
            secret_hash=secret_hash,
            organization_id=invitation.organization_id,
            role=invitation.role.value,
            email=invitation.email,
            makes_operator=invitation.makes_operator,
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
        )
    )


async def find_invitation(tx: Transaction, secret_hash: bytes, now: datetime) -> Invitation | None:
    """The invitation with that hash, unless it has expired."""
    query = select(invitations).where(invitations.c.secret_hash == secret_hash, invitations.c.expires_at > now)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _invitation(row)


async def list_invitations(tx: Transaction, organization_id: str, now: datetime) -> list[Invitation]:
    """An organization's open invitations, the oldest first."""
    query = (
        select(invitations)
        .where(invitations.c.organization_id == organization_id, invitations.c.expires_at > now)
        .order_by(invitations.c.id)
    )
    return [_invitation(row) for row in await tx.execute(query)]


async def remove_invitation(tx: Transaction, organization_id: str, invitation_id: str) -> bool:
    """Remove an invitation; False if there was none."""
    done = await tx.execute(
        delete(invitations).where(invitations.c.id == invitation_id, invitations.c.organization_id == organization_id)
    )
    return done.rowcount == 1


async def remove_operator_invitations(tx: Transaction) -> None:
    """Remove the invitations for a first owner that were printed before."""
    await tx.execute(delete(invitations).where(invitations.c.makes_operator))


async def delete_expired_invitations(tx: Transaction, now: datetime) -> int:
    """Remove expired ones; returns how many."""
    return (await tx.execute(delete(invitations).where(invitations.c.expires_at <= now))).rowcount
