"""People and their memberships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update

from stoker.domain.people import Member, Membership, Person, Role
from stoker.store.tables.people import memberships, people

if TYPE_CHECKING:
    from stoker.domain.people import CompanyIdentity
    from stoker.store.database import Transaction


def _person(row: Row[Any]) -> Person:
    return Person(
        id=row.id, email=row.email, name=row.name, is_operator=bool(row.is_operator), created_at=row.created_at
    )


async def _find(tx: Transaction, which: ColumnElement[bool]) -> Person | None:
    row = (await tx.execute(select(people).where(which))).one_or_none()
    return None if row is None else _person(row)


async def add_person(tx: Transaction, person: Person) -> None:
    """Store a new person, who can't sign in yet."""
    await tx.execute(
        insert(people).values(
            id=person.id,
            email=person.email,
            name=person.name,
            is_operator=person.is_operator,
            created_at=person.created_at,
        )
    )


async def find_person(tx: Transaction, person_id: str) -> Person | None:
    """The person of that id."""
    return await _find(tx, people.c.id == person_id)


async def find_person_by_email(tx: Transaction, email: str) -> Person | None:
    """The person with that address."""
    return await _find(tx, people.c.email == email)


async def find_person_by_identity(tx: Transaction, identity: CompanyIdentity) -> Person | None:
    """The person whom the company's provider knows by that subject."""
    return await _find(tx, (people.c.issuer == identity.issuer) & (people.c.subject == identity.subject))


async def has_people(tx: Transaction) -> bool:
    """Whether there are any people."""
    return (await tx.execute(select(people.c.id).limit(1))).first() is not None


async def password_hash_of(tx: Transaction, person_id: str) -> str | None:
    """The hash of a person's password; None when they have none."""
    return (await tx.execute(select(people.c.password_hash).where(people.c.id == person_id))).scalar_one_or_none()


async def set_password_hash(tx: Transaction, person_id: str, password_hash: str) -> None:
    """Set a person's password."""
    await tx.execute(update(people).where(people.c.id == person_id).values(password_hash=password_hash))


async def set_identity(tx: Transaction, person_id: str, identity: CompanyIdentity) -> None:
    """Remember who a person is at the company's provider."""
    await tx.execute(
        update(people).where(people.c.id == person_id).values(issuer=identity.issuer, subject=identity.subject)
    )


async def identity_of(tx: Transaction, person_id: str) -> tuple[str, str] | None:
    """The issuer and subject by which the company's provider knows a person; None when it doesn't."""
    row = (await tx.execute(select(people.c.issuer, people.c.subject).where(people.c.id == person_id))).one_or_none()
    return None if row is None or row.issuer is None or row.subject is None else (row.issuer, row.subject)


async def make_operator(tx: Transaction, person_id: str) -> None:
    """Make a person an operator."""
    await tx.execute(update(people).where(people.c.id == person_id).values(is_operator=True))


async def add_membership(tx: Transaction, membership: Membership) -> None:
    """Store a new membership."""
    await tx.execute(
        insert(memberships).values(
            organization_id=membership.organization_id,
            person_id=membership.person_id,
            role=membership.role.value,
            created_at=membership.created_at,
        )
    )


async def memberships_of(tx: Transaction, person_id: str) -> list[Membership]:
    """A person's memberships, the oldest first."""
    query = (
        select(memberships)
        .where(memberships.c.person_id == person_id)
        .order_by(memberships.c.created_at, memberships.c.organization_id)
    )
    return [
        Membership(
            organization_id=row.organization_id,
            person_id=row.person_id,
            role=Role(row.role),
            created_at=row.created_at,
        )
        for row in await tx.execute(query)
    ]


async def members_of(tx: Transaction, organization_id: str, first: int = 0, size: int | None = None) -> list[Member]:
    """An organization's members after the ``first``, by their address; all that there are when no ``size`` is given."""
    query = (
        select(people, memberships.c.role, memberships.c.created_at.label("joined_at"))
        .join(memberships, memberships.c.person_id == people.c.id)
        .where(memberships.c.organization_id == organization_id)
        .order_by(people.c.email)
        .offset(first)
        .limit(size)
    )
    return [Member(_person(row), Role(row.role), row.joined_at) for row in await tx.execute(query)]


async def owners_of(tx: Transaction, organization_id: str) -> frozenset[str]:
    """The ids of an organization's owners."""
    query = select(memberships.c.person_id).where(
        memberships.c.organization_id == organization_id, memberships.c.role == Role.OWNER.value
    )
    return frozenset((await tx.execute(query)).scalars())


async def count_members(tx: Transaction, organization_id: str) -> int:
    """How many members an organization has."""
    query = select(func.count()).select_from(memberships).where(memberships.c.organization_id == organization_id)
    return (await tx.execute(query)).scalar_one()


def _membership(organization_id: str, person_id: str) -> ColumnElement[bool]:
    return (memberships.c.organization_id == organization_id) & (memberships.c.person_id == person_id)


async def role_of(tx: Transaction, organization_id: str, person_id: str) -> Role | None:
    """A person's role in an organization; None when they are no member."""
    role = (await tx.execute(select(memberships.c.role).where(_membership(organization_id, person_id)))).scalar()
    return None if role is None else Role(role)


async def change_role(tx: Transaction, organization_id: str, person_id: str, role: Role) -> None:
    """Change a member's role."""
    await tx.execute(update(memberships).where(_membership(organization_id, person_id)).values(role=role.value))


async def remove_membership(tx: Transaction, organization_id: str, person_id: str) -> None:
    """Remove a member."""
    await tx.execute(delete(memberships).where(_membership(organization_id, person_id)))
