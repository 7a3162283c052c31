"""Project tokens: create, list, describe, revoke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.auth.tokens import new_token
from stoker.domain.audit import Action, Party
from stoker.domain.errors import NotFound, ResourceExhausted
from stoker.domain.ids import checked_id
from stoker.domain.principals import CredentialKind
from stoker.domain.projects import checked_description
from stoker.services.audit_log import record
from stoker.services.lookup import require_project
from stoker.store import tokens as token_store
from stoker.store.tokens import StoredToken

if TYPE_CHECKING:
    from stoker.domain.principals import Principal
    from stoker.services.core import Core
    from stoker.store.database import Transaction


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A new token, and its secret, which is shown this once."""

    id: str
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"CreatedToken(id={self.id!r})"


class TokenService:
    """The use cases around project tokens."""

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
        token = new_token(CredentialKind.PROJECT, self._core.randomness)
        most = self._core.limits.projects.max_project_tokens
        async with self._core.database.write(durable=True) as tx:
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
            await token_store.add_token(tx, stored, token.secret_hash)
            target, detail = token_party(stored), f"for project {project.name}{', untrusted' if untrusted else ''}"
            await record(self._core, tx, principal, Action.TOKEN_CREATE, target, project.organization_id, detail)
        return CreatedToken(stored.id, token.secret)

    async def list(self, principal: Principal, project_id: str) -> list[StoredToken]:
        """A project's tokens that were not revoked, the oldest first.

        Raises:
            NotFound: there is no such project, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            project = await require_project(tx, principal, project_id)
            return await token_store.list_project_tokens(tx, project.id)

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
