"""Tokens of projects and of organizations: create, list, describe, revoke."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.auth.tokens import new_token
from stoker.domain.audit import Action, Party
from stoker.domain.errors import InvalidInput, NotFound, ResourceExhausted
from stoker.domain.ids import checked_id
from stoker.domain.principals import CredentialKind
from stoker.domain.projects import checked_description
from stoker.services.audit_log import record
from stoker.services.lookup import require_organization, require_project
from stoker.store import tokens as token_store
from stoker.store.locks import Lock
from stoker.store.tokens import StoredToken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from stoker.domain.principals import Principal
    from stoker.services.core import Core
    from stoker.store.database import Transaction

_MAX_ORGANIZATION_TOKEN_LIFETIME = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A new token, and its secret, which is shown this once."""

    id: str
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"CreatedToken(id={self.id!r})"


class TokenService:
    """Use cases of tokens. Those of organizations are for owners."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(
        self, principal: Principal, project_id: str, description: str, *, untrusted: bool = False
    ) -> CreatedToken:
        """Create a token that works for one project only; with an untrusted one, builds leave nothing behind.

        Raises:
            InvalidInput: the description is too long.
            NotFound: there is no such project, or it isn't the caller's.
            ResourceExhausted: the project has all the tokens it may have.
        """
        text = checked_description(description)
        most = self._core.limits.projects.max_project_tokens
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PROJECT, project_id)
            project = await require_project(tx, principal, project_id)
            if len(await token_store.list_project_tokens(tx, project.id)) >= most:
                raise ResourceExhausted(f"the project has {most} tokens, which is the most; delete some first")
            stored = StoredToken(
                id=self._core.new_id(),
                kind=CredentialKind.PROJECT,
                organization_id=project.organization_id,
                project_id=project.id,
                build_id=None,
                description=text,
                created_at=self._core.now(),
                untrusted=untrusted,
            )
            detail = f"for project {project.name}{', untrusted' if untrusted else ''}"
            return await self._add(tx, principal, stored, detail)

    async def create_for_organization(
        self, principal: Principal, organization_id: str, description: str, expires_at: datetime | None
    ) -> CreatedToken:
        """Create a token of an organization.

        Raises:
            InvalidInput: the description is too long, or the end isn't in the future.
            NotFound: there is no such organization, or it isn't the caller's.
            ResourceExhausted: the organization has all the tokens it may have.
        """
        text = checked_description(description)
        now = self._core.now()
        if expires_at is not None and not now < expires_at <= now + _MAX_ORGANIZATION_TOKEN_LIFETIME:
            raise InvalidInput("expires_at must be in the future, and within ten years; leave it out for no end")
        most = self._core.limits.people.max_organization_tokens
        async with self._core.database.write(durable=True) as tx:
            organization = await require_organization(tx, principal, organization_id)
            await tx.lock(Lock.ORGANIZATION, organization.id)
            if len(await token_store.list_organization_tokens(tx, organization.id)) >= most:
                raise ResourceExhausted(f"the organization has {most} tokens, which is the most; revoke some first")
            stored = StoredToken(
                id=self._core.new_id(),
                kind=CredentialKind.ORGANIZATION,
                organization_id=organization.id,
                project_id=None,
                build_id=None,
                description=text,
                created_at=now,
                expires_at=expires_at,
            )
            detail = "" if expires_at is None else f"until {expires_at:%Y-%m-%d}"
            return await self._add(tx, principal, stored, detail)

    async def list(self, principal: Principal, project_id: str) -> list[StoredToken]:
        """A project's tokens that were not revoked, the oldest first.

        Raises:
            NotFound: there is no such project, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            project = await require_project(tx, principal, project_id)
            return await token_store.list_project_tokens(tx, project.id)

    async def list_of_organization(self, principal: Principal, organization_id: str) -> Sequence[StoredToken]:
        """An organization's own tokens that were not revoked.

        Raises:
            NotFound: there is no such organization, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            organization = await require_organization(tx, principal, organization_id)
            return await token_store.list_organization_tokens(tx, organization.id)

    async def describe(self, principal: Principal, token_id: str, description: str) -> None:
        """Change a token's description.

        Raises:
            InvalidInput: the description is too long.
            NotFound: there is no such token, or it isn't the caller's.
        """
        text = checked_description(description)
        async with self._core.database.write(durable=True) as tx:
            token = await _require_token(tx, principal, token_id)
            await token_store.describe_token(tx, token.id, text)
            target = token_party(token)
            await record(self._core, tx, principal, Action.TOKEN_DESCRIBE, target, token.organization_id, f"→ {text}")

    async def delete(self, principal: Principal, token_id: str) -> None:
        """Revoke a token: from now on it opens nothing.

        Raises:
            NotFound: there is no such token, or it isn't the caller's.
        """
        async with self._core.database.write(durable=True) as tx:
            token = await _require_token(tx, principal, token_id)
            await self._revoke(tx, principal, token)

    async def revoke_of_organization(self, principal: Principal, organization_id: str, token_id: str) -> None:
        """Revoke a token of an organization.

        Raises:
            NotFound: there is no such organization or token.
        """
        async with self._core.database.write(durable=True) as tx:
            organization = await require_organization(tx, principal, organization_id)
            checked = checked_id(token_id, "token_id")
            known = {token.id: token for token in await token_store.list_organization_tokens(tx, organization.id)}
            if checked not in known:
                raise NotFound(f"token {checked} was not found; list the organization's tokens to see their ids")
            await self._revoke(tx, principal, known[checked])

    async def _add(self, tx: Transaction, principal: Principal, stored: StoredToken, detail: str) -> CreatedToken:
        token = new_token(stored.kind, self._core.randomness)
        await token_store.add_token(tx, stored, token.secret_hash)
        await record(
            self._core, tx, principal, Action.TOKEN_CREATE, token_party(stored), stored.organization_id, detail
        )
        return CreatedToken(stored.id, token.secret)

    async def _revoke(self, tx: Transaction, principal: Principal, token: StoredToken) -> None:
        await token_store.revoke_token(tx, token.id, self._core.now())
        await record(self._core, tx, principal, Action.TOKEN_REVOKE, token_party(token), token.organization_id)


def token_party(token: StoredToken) -> Party:
    """A token, by its description."""
    return Party(f"{token.kind} token", token.id, token.description)


async def _require_token(tx: Transaction, principal: Principal, token_id: str) -> StoredToken:
    token = await token_store.find_token_by_id(tx, checked_id(token_id, "token_id"))
    if (
        token is None
        or token.revoked_at is not None
        or token.kind is not CredentialKind.PROJECT
        or token.project_id is None
        or token.organization_id is None
        or not principal.may_see_project(token.organization_id, token.project_id)
    ):
        raise NotFound(f"token {token_id} was not found in your organization; list a project's tokens to see its ids")
    principal.require_role(token.organization_id)
    return token
