"""Tokens, found by the hash of their secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Row, Select, bindparam, insert, select, update

from stoker.domain.principals import CredentialKind
from stoker.store.tables.credentials import tokens
from stoker.store.tables.organizations import projects

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stoker.store.database import Transaction


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as it is kept: without its secret. A person's belongs to no organization."""

    id: str
    kind: CredentialKind
    organization_id: str | None
    project_id: str | None
    build_id: str | None
    description: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    person_id: str | None = None
    last_used_at: datetime | None = None
    untrusted: bool = False


def _token(row: Row[Any]) -> StoredToken:
    return StoredToken(
        id=row.id,
        kind=CredentialKind(row.kind),
        organization_id=row.organization_id,
        project_id=row.project_id,
        build_id=row.build_id,
        description=row.description,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        person_id=row.person_id,
        last_used_at=row.last_used_at,
        untrusted=row.untrusted,
    )


def _finding(column: Column[Any]) -> Select[*tuple[Any, ...]]:
    return (
        select(tokens)
        .outerjoin(projects, projects.c.id == tokens.c.project_id)
        .where(column == bindparam("wanted"), projects.c.deleted_at.is_(None))
    )


_BY_HASH, _BY_ID = _finding(tokens.c.secret_hash), _finding(tokens.c.id)


async def _find(tx: Transaction, query: Select[*tuple[Any, ...]], wanted: object) -> StoredToken | None:
    row = (await tx.execute(query, {"wanted": wanted})).one_or_none()
    return None if row is None else _token(row)


async def add_token(tx: Transaction, token: StoredToken, secret_hash: bytes) -> None:
    """Store a new token under the hash of its secret."""
    await tx.execute(
        insert(tokens).values(
            id=token.id,
            kind=token.kind.value,
            secret_hash=secret_hash,
            organization_id=token.organization_id,
            project_id=token.project_id,
            build_id=token.build_id,
            description=token.description,
            created_at=token.created_at,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
            person_id=token.person_id,
            untrusted=token.untrusted,
        )
    )


async def find_token(tx: Transaction, secret_hash: bytes) -> StoredToken | None:
    """The token with that hash, unless its project is deleted."""
    return await _find(tx, _BY_HASH, secret_hash)


async def find_token_by_id(tx: Transaction, token_id: str) -> StoredToken | None:
    """The token of that id, unless its project is deleted."""
    return await _find(tx, _BY_ID, token_id)


def _listing(owner: Column[Any], kind: CredentialKind) -> Select[*tuple[Any, ...]]:
    return (
        select(tokens)
        .where(owner == bindparam("owner"), tokens.c.kind == kind.value, tokens.c.revoked_at.is_(None))
        .order_by(tokens.c.id)
    )


_OF_PROJECT = _listing(tokens.c.project_id, CredentialKind.PROJECT)
_OF_PERSON = _listing(tokens.c.person_id, CredentialKind.USER)
_OF_ORGANIZATION = _listing(tokens.c.organization_id, CredentialKind.ORGANIZATION)


async def list_project_tokens(tx: Transaction, project_id: str) -> list[StoredToken]:
    """A project's own tokens that were not revoked, the oldest first."""
    return [_token(row) for row in await tx.execute(_OF_PROJECT, {"owner": project_id})]


async def list_organization_tokens(tx: Transaction, organization_id: str) -> list[StoredToken]:
    """An organization's own tokens that were not revoked, the oldest first."""
    return [_token(row) for row in await tx.execute(_OF_ORGANIZATION, {"owner": organization_id})]


async def list_person_tokens(tx: Transaction, person_id: str) -> list[StoredToken]:
    """A person's tokens that were not revoked, the oldest first."""
    return [_token(row) for row in await tx.execute(_OF_PERSON, {"owner": person_id})]


async def has_organization_tokens(tx: Transaction) -> bool:
    """Whether any organization ever had a token."""
    query = select(tokens.c.id).where(tokens.c.kind == CredentialKind.ORGANIZATION.value).limit(1)
    return (await tx.execute(query)).first() is not None


async def revoke_tokens_of_person(tx: Transaction, person_id: str, now: datetime) -> None:
    """Revoke all tokens of a person."""
    await tx.execute(
        update(tokens).where(tokens.c.person_id == person_id, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    )


async def describe_token(tx: Transaction, token_id: str, description: str) -> None:
    """Change a token's description."""
    await tx.execute(update(tokens).where(tokens.c.id == token_id).values(description=description))


async def revoke_token(tx: Transaction, token_id: str, now: datetime) -> None:
    """Revoke a token."""
    await tx.execute(
        update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    )


async def note_uses(tx: Transaction, uses: Mapping[str, datetime]) -> None:
    """Store when each of these tokens was last used, where that is later than what is known.

    In one order, so that two servers that do this at once don't wait for each other.
    """
    token, at = bindparam("token", type_=tokens.c.id.type), bindparam("at", type_=tokens.c.last_used_at.type)
    await tx.execute_many(
        update(tokens)
        .where(tokens.c.id == token, (tokens.c.last_used_at.is_(None)) | (tokens.c.last_used_at < at))
        .values(last_used_at=at),
        [{"token": token_id, "at": moment} for token_id, moment in sorted(uses.items())],
    )


async def expire_build_tokens(tx: Transaction, build_id: str, at: datetime) -> None:
    """Let a build's tokens end at ``at`` unless they end before."""
    await tx.execute(
        update(tokens)
        .where(tokens.c.build_id == build_id, (tokens.c.expires_at.is_(None)) | (tokens.c.expires_at > at))
        .values(expires_at=at)
    )
