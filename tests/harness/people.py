"""People, memberships and tokens of all kinds, put straight into a server's database."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy import delete

from stoker.auth.tokens import new_token
from stoker.domain.builds import Build, BuildStatus
from stoker.domain.ids import new_id
from stoker.domain.people import Membership, Person, Role
from stoker.domain.principals import CredentialKind
from stoker.domain.projects import Organization
from stoker.store.builds import add_build
from stoker.store.database import Transaction
from stoker.store.organizations import add_organization
from stoker.store.people import add_membership, add_person
from stoker.store.tables.people import memberships
from stoker.store.tokens import StoredToken, add_token
from stoker.system import SystemClock, SystemRandomness
from tests.harness.server import Server

CLOCK, RANDOMNESS = SystemClock(), SystemRandomness()
Result = TypeVar("Result")


@dataclass(frozen=True)
class Account:
    """Somebody with an account and a token."""

    id: str
    email: str
    token: str


@dataclass(frozen=True)
class Registry:
    """Writes into the database of a server, which may be running."""

    server: Server

    def organization(self, name: str) -> str:
        """A new organization's id."""
        made = Organization(id=new_id(CLOCK, RANDOMNESS), name=name, created_at=CLOCK.now())
        self._write(lambda tx: add_organization(tx, made))
        return made.id

    def token(self, template: StoredToken) -> str:
        """The secret of a new token like that one."""
        made = new_token(template.kind, RANDOMNESS)
        stored = replace(template, id=new_id(CLOCK, RANDOMNESS))
        self._write(lambda tx: add_token(tx, stored, made.secret_hash))
        return made.secret

    def person(self, name: str, *, is_operator: bool = False, **roles: Role) -> Account:
        """A new person with roles, by the organizations' ids, each with an ``o`` before it."""
        now = CLOCK.now()
        person = Person(new_id(CLOCK, RANDOMNESS), f"{name}@example.com", name, is_operator, now)

        async def store(tx: Transaction) -> None:
            await add_person(tx, person)
            for organization, role in roles.items():
                await add_membership(tx, Membership(organization[1:], person.id, role, now))

        self._write(store)
        secret = self.token(blank_token(CredentialKind.USER, person_id=person.id))
        return Account(person.id, person.email, secret)

    def add_member(self, organization: str, person_id: str, role: Role) -> None:
        """Make a person a member of one more organization."""
        self._write(lambda tx: add_membership(tx, Membership(organization, person_id, role, CLOCK.now())))

    def builds(self, project_id: str, organization_id: str, count: int) -> list[str]:
        """The ids of so many new builds that nobody runs, the newest first."""
        ids = [new_id(CLOCK, RANDOMNESS) for _ in range(count)]

        async def store(tx: Transaction) -> None:
            for one in ids:
                made = Build(one, organization_id, project_id, BuildStatus.RUNNING, None, CLOCK.now(), None, None)
                await add_build(tx, made)

        self._write(store)
        return sorted(ids, reverse=True)

    def remove_from_all(self, person_id: str) -> int:
        """Let a person be a member of nothing; how many memberships that ended."""

        async def remove(tx: Transaction) -> int:
            return (await tx.execute(delete(memberships).where(memberships.c.person_id == person_id))).rowcount

        return self._write(remove)

    def _write(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        async def run() -> Result:
            database = self.server.open_database()
            try:
                async with database.write() as tx:
                    return await work(tx)
            finally:
                await database.close()

        return asyncio.run(run())


def blank_token(
    kind: CredentialKind,
    *,
    organization_id: str | None = None,
    project_id: str | None = None,
    person_id: str | None = None,
    build_id: str | None = None,
) -> StoredToken:
    """A token that is good, to be changed as wanted."""
    return StoredToken(
        id="",
        kind=kind,
        organization_id=organization_id,
        project_id=project_id,
        build_id=build_id,
        description="",
        created_at=CLOCK.now(),
        person_id=person_id,
    )


def invite(server: Server, email: str, role: str, organization: str | None = None) -> str:
    """The secret of an invitation that an owner made over the API; to the first organization, unless one is given."""
    registry = Registry(server)
    organization = organization or server.first["DEPOT_ORG_ID"]
    token = registry.person(f"inviter-{secrets.token_hex(4)}", **{f"o{organization}": Role.OWNER}).token
    wanted = {"email": email, "role": role}
    made = server.call("stoker.v1.OrganizationService/CreateInvitation", wanted, token=token)
    assert made.status == 200, made
    return made.body["url"].partition("#")[2]
