"""The first organization, project and token of a new server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.auth.tokens import NewToken, new_secret, new_token
from stoker.domain.audit import Action, Party, server_party
from stoker.domain.cache_policy import default_cache_policy
from stoker.domain.hardware import DEFAULT_HARDWARE
from stoker.domain.people import Invitation, Role
from stoker.domain.principals import CredentialKind
from stoker.domain.projects import Organization, Project
from stoker.services.audit_log import organization_party, project_party, record
from stoker.services.tokens import token_party
from stoker.store import facts as fact_store
from stoker.store import invitations as invitation_store
from stoker.store import organizations as organization_store
from stoker.store import people as person_store
from stoker.store import projects as project_store
from stoker.store import tokens as token_store
from stoker.store.locks import Lock
from stoker.store.tokens import StoredToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from stoker.services.core import Core
    from stoker.store.database import Transaction

SERVER_ID = "server_id"
_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SERVER_ID_LENGTH = 6
_FIRST_START = server_party("first start")


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """What a new server begins with."""

    organization_id: str
    project_id: str
    token: str

    def __repr__(self) -> str:
        """Without the token."""
        return f"FirstSteps(organization_id={self.organization_id!r}, project_id={self.project_id!r})"


class BootstrapService:
    """Use cases of a server's first start."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def server_id(self) -> str:
        """The server's own short id, created at its first start. Everything it leaves on a host is named after it."""
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.SERVER)
            known = await fact_store.find_fact(tx, SERVER_ID)
            if known is not None:
                return known
            noise = self._core.randomness.token_bytes(_SERVER_ID_LENGTH)
            server_id = "".join(_ID_ALPHABET[byte % len(_ID_ALPHABET)] for byte in noise)
            await fact_store.add_fact(tx, SERVER_ID, server_id)
            return server_id

    async def first_steps(self, keep: Callable[[FirstSteps], None]) -> FirstSteps | None:
        """Create an organization, a project and a token; None if there was a token before.

        ``keep`` stores them before the commit: the token is never shown again, so it must not be lost if this process
        dies in between. A token that was stored but not committed is created again at the next start.
        """
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.SERVER)
            if await token_store.has_organization_tokens(tx):
                return None
            now = self._core.now()
            organization = await self._first_organization(tx)
            project = Project(
                id=self._core.new_id(),
                organization_id=organization.id,
                name="hello",
                region_id=self._core.limits.regions[0],
                hardware=DEFAULT_HARDWARE,
                cache_policy=default_cache_policy(self._core.limits.projects.max_keep_bytes),
                created_at=now,
            )
            await project_store.add_project(tx, project)
            await record(self._core, tx, _FIRST_START, Action.PROJECT_CREATE, project_party(project), organization.id)
            token = await self._add_organization_token(tx, organization.id, "made on the first start")
            first = FirstSteps(organization.id, project.id, token.secret)
            keep(first)
        return first

    async def owner_invitation(self, *, even_if_known: bool = False) -> str | None:
        """The secret of a link that makes whoever opens it an owner of the first organization and an operator.

        Links that were made before no longer work.

        Args:
            even_if_known: make one although there are people already, for whoever runs the server and is locked out.
        """
        secret = new_secret(self._core.randomness)
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.SERVER)
            if await person_store.has_people(tx) and not even_if_known:
                return None
            organization = await self._first_organization(tx)
            now = self._core.now()
            await invitation_store.remove_operator_invitations(tx)
            invitation = Invitation(
                id=self._core.new_id(),
                organization_id=organization.id,
                role=Role.OWNER,
                email="",
                makes_operator=True,
                created_at=now,
                expires_at=now + self._core.limits.people.invitation_lifetime,
            )
            await invitation_store.add_invitation(tx, invitation, secret.secret_hash)
            target, who = Party("invitation", invitation.id, ""), server_party("owner link")
            await record(
                self._core, tx, who, Action.INVITATION_CREATE, target, organization.id, "as owner and operator"
            )
        return secret.secret

    async def _first_organization(self, tx: Transaction) -> Organization:
        organization = await organization_store.oldest_organization(tx)
        if organization is None:
            organization = Organization(id=self._core.new_id(), name="default", created_at=self._core.now())
            await organization_store.add_organization(tx, organization)
            target = organization_party(organization)
            await record(self._core, tx, _FIRST_START, Action.ORGANIZATION_CREATE, target, organization.id)
        return organization

    async def _add_organization_token(self, tx: Transaction, organization_id: str, description: str) -> NewToken:
        token = new_token(CredentialKind.ORGANIZATION, self._core.randomness)
        stored = StoredToken(
            id=self._core.new_id(),
            kind=CredentialKind.ORGANIZATION,
            organization_id=organization_id,
            project_id=None,
            build_id=None,
            description=description,
            created_at=self._core.now(),
        )
        await token_store.add_token(tx, stored, token.secret_hash)
        await record(self._core, tx, _FIRST_START, Action.TOKEN_CREATE, token_party(stored), organization_id)
        return token
