"""Organizations: members, their roles, and invitations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.auth.tokens import new_secret
from stoker.domain.audit import Action, Party
from stoker.domain.errors import NotFound, PermissionDenied, ResourceExhausted
from stoker.domain.ids import checked_id
from stoker.domain.pagination import numbered_page
from stoker.domain.people import Invitation, Membership, Person, Role, checked_email, require_an_owner_left
from stoker.domain.projects import Organization, checked_name
from stoker.services.audit_log import organization_party, person_party, record
from stoker.services.lookup import require_organization
from stoker.store import invitations as invitation_store
from stoker.store import organizations as organization_store
from stoker.store import people as person_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from stoker.domain.pagination import NumberedPageRequest, Page
    from stoker.domain.people import Member
    from stoker.domain.principals import Principal
    from stoker.services.core import Core
    from stoker.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Account:
    """A person and their organizations, the oldest membership first."""

    person: Person
    organizations: tuple[tuple[Organization, Role], ...]


@dataclass(frozen=True, slots=True)
class CreatedInvitation:
    """A new invitation, and its link, which is shown only once."""

    invitation: Invitation
    url: str

    def __repr__(self) -> str:
        """Without the link."""
        return f"CreatedInvitation(invitation={self.invitation!r})"


def join_url(public_url: str, secret: str) -> str:
    """The link of an invitation. Its secret is in the fragment, which browsers don't send (RFC 3986, 3.5)."""
    return f"{public_url}/join#{secret}"


class OrganizationService:
    """Use cases of organizations and their members."""

    def __init__(self, core: Core, public_url: str) -> None:
        self._core = core
        self._public_url = public_url

    async def account(self, principal: Principal) -> Account:
        """The caller's account.

        Raises:
            NotFound: the caller isn't a person.
        """
        async with self._core.database.read() as tx:
            person = await person_store.find_person(tx, principal.person_id or "")
            organizations = await organization_store.find_organizations(tx, principal.organization_ids)
        if person is None:
            raise NotFound("this credential belongs to no person; sign in, or use `depot login`")
        by_id = {organization.id: organization for organization in organizations}
        return Account(person, tuple((by_id[one], role) for one, role in principal.roles.items()))

    async def create(self, principal: Principal, name: str) -> Organization:
        """Create an organization, with the caller as its owner.

        Raises:
            InvalidInput: the name is empty or too long.
            PermissionDenied: the caller isn't an operator of this server.
        """
        checked = checked_name(name, "name")
        now = self._core.now()
        async with self._core.database.write(durable=True) as tx:
            person = await person_store.find_person(tx, principal.person_id or "")
            if person is None or not person.is_operator:
                raise PermissionDenied("only an operator of this server can create organizations; ask one for it")
            organization = Organization(id=self._core.new_id(), name=checked, created_at=now)
            await organization_store.add_organization(tx, organization)
            await person_store.add_membership(tx, Membership(organization.id, person.id, Role.OWNER, now))
            await record(
                self._core, tx, principal, Action.ORGANIZATION_CREATE, organization_party(organization), organization.id
            )
        return organization

    async def rename(self, principal: Principal, organization_id: str, name: str) -> Organization:
        """Rename an organization.

        Raises:
            InvalidInput: the name is empty or too long.
            NotFound: there is no such organization, or it isn't the caller's.
        """
        checked = checked_name(name, "name")
        async with self._core.database.write(durable=True) as tx:
            organization = await require_organization(tx, principal, organization_id)
            await organization_store.rename_organization(tx, organization.id, checked)
            target = organization_party(organization)
            await record(self._core, tx, principal, Action.ORGANIZATION_RENAME, target, organization.id, f"→ {checked}")
        return Organization(organization.id, checked, organization.created_at)

    async def members(self, principal: Principal, organization_id: str) -> list[Member]:
        """An organization's members.

        Raises:
            NotFound: there is no such organization, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            organization = await require_organization(tx, principal, organization_id)
            return await person_store.members_of(tx, organization.id)

    async def members_page(self, principal: Principal, organization_id: str, page: NumberedPageRequest) -> Page[Member]:
        """A page of an organization's members, by their address.

        Raises:
            NotFound: there is no such organization, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            organization = await require_organization(tx, principal, organization_id)
            found = await person_store.members_of(tx, organization.id, page.after or 0, page.size + 1)
        return numbered_page(found, page)

    async def change_role(self, principal: Principal, organization_id: str, person_id: str, role: Role) -> None:
        """Change a member's role, from their next call on.

        Raises:
            FailedPrecondition: they are the last owner.
            NotFound: there is no such organization or member.
        """
        async with self._core.database.write(durable=True) as tx:
            organization = await require_organization(tx, principal, organization_id)
            await tx.lock(Lock.ORGANIZATION, organization.id)
            member, before = await self._require_member(tx, organization, person_id)
            if role is not Role.OWNER:
                require_an_owner_left(await person_store.owners_of(tx, organization.id), person_id)
            await person_store.change_role(tx, organization.id, person_id, role)
            if role is not before:
                await record(
                    self._core, tx, principal, Action.MEMBER_CHANGE_ROLE, member, organization.id, f"{before} → {role}"
                )

    async def remove_member(self, principal: Principal, organization_id: str, person_id: str) -> None:
        """Remove a member; their tokens and sessions no longer see this organization.

        Raises:
            FailedPrecondition: they are the last owner.
            NotFound: there is no such organization or member.
        """
        async with self._core.database.write(durable=True) as tx:
            organization = await require_organization(tx, principal, organization_id)
            await tx.lock(Lock.ORGANIZATION, organization.id)
            member, role = await self._require_member(tx, organization, person_id)
            require_an_owner_left(await person_store.owners_of(tx, organization.id), person_id)
            await person_store.remove_membership(tx, organization.id, person_id)
            await record(self._core, tx, principal, Action.MEMBER_REMOVE, member, organization.id, f"was {role}")

    async def invite(self, principal: Principal, organization_id: str, email: str, role: Role) -> CreatedInvitation:
        """Invite a person to an organization, by a link that works once.

        Raises:
            InvalidInput: the address can't be one.
            NotFound: there is no such organization, or it isn't the caller's.
            ResourceExhausted: there are as many open invitations, or members, as there may be.
        """
        address = checked_email(email)
        secret = new_secret(self._core.randomness)
        most = self._core.limits.people.max_members
        async with self._core.database.write(durable=True) as tx:
            organization = await require_organization(tx, principal, organization_id)
            await tx.lock(Lock.ORGANIZATION, organization.id)
            now = self._core.now()
            open_ones = await invitation_store.list_invitations(tx, organization.id, now)
            if len(open_ones) + await person_store.count_members(tx, organization.id) >= most:
                raise ResourceExhausted(
                    f"the organization has {most} members and invitations, which is the most; "
                    "remove members or revoke some invitations first"
                )
            invitation = Invitation(
                id=self._core.new_id(),
                organization_id=organization.id,
                role=role,
                email=address,
                makes_operator=False,
                created_at=now,
                expires_at=now + self._core.limits.people.invitation_lifetime,
            )
            await invitation_store.add_invitation(tx, invitation, secret.secret_hash)
            target = Party("invitation", invitation.id, address)
            await record(self._core, tx, principal, Action.INVITATION_CREATE, target, organization.id, f"as {role}")
        return CreatedInvitation(invitation, join_url(self._public_url, secret.secret))

    async def invitations(self, principal: Principal, organization_id: str) -> list[Invitation]:
        """An organization's open invitations.

        Raises:
            NotFound: there is no such organization, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            organization = await require_organization(tx, principal, organization_id)
            return await invitation_store.list_invitations(tx, organization.id, self._core.now())

    async def revoke_invitation(self, principal: Principal, organization_id: str, invitation_id: str) -> None:
        """Revoke an invitation.

        Raises:
            NotFound: there is no such organization or invitation.
        """
        async with self._core.database.write(durable=True) as tx:
            organization = await require_organization(tx, principal, organization_id)
            checked = checked_id(invitation_id, "invitation_id")
            open_ones = await invitation_store.list_invitations(tx, organization.id, self._core.now())
            found = next((one for one in open_ones if one.id == checked), None)
            if found is None or not await invitation_store.remove_invitation(tx, organization.id, checked):
                raise NotFound(f"invitation {checked} was not found; it was used, revoked, or has expired")
            target = Party("invitation", checked, found.email)
            await record(self._core, tx, principal, Action.INVITATION_REVOKE, target, organization.id)

    async def _require_member(self, tx: Transaction, organization: Organization, person_id: str) -> tuple[Party, Role]:
        role = await person_store.role_of(tx, organization.id, checked_id(person_id, "person_id"))
        person = None if role is None else await person_store.find_person(tx, person_id)
        if role is None or person is None:
            raise NotFound(f"member {person_id} was not found; list the organization's members to see their ids")
        return person_party(person), role
