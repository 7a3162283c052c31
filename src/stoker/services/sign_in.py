"""Sign in with a browser: by password, by an invitation's link, or through the company's provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.auth.tokens import hash_secret, new_secret
from stoker.domain.audit import NOBODY, Action, Party, server_party
from stoker.domain.errors import AlreadyExists, InvalidInput, NotFound, PermissionDenied, Unauthenticated
from stoker.domain.people import Membership, Person, Role, checked_email, checked_password
from stoker.domain.projects import MAX_NAME_LENGTH, checked_name
from stoker.services.audit_log import person_party, record, record_for_person
from stoker.store import invitations as invitation_store
from stoker.store import organizations as organization_store
from stoker.store import people as person_store
from stoker.store import sessions as session_store
from stoker.store import tokens as token_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from stoker.auth.passwords import Passwords
    from stoker.domain.people import CompanyIdentity, Invitation
    from stoker.domain.projects import Organization
    from stoker.services.core import Core
    from stoker.store.database import Transaction


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session that was just opened: its secret goes into the browser's cookie."""

    person: Person
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"OpenedSession(person={self.person.id!r})"


@dataclass(frozen=True, slots=True)
class OfferedPlace:
    """What an invitation's link offers. ``is_known`` when the invited address has an account already."""

    invitation: Invitation
    organization: Organization
    is_known: bool


class SignInService:
    """The use cases of sessions in browsers."""

    def __init__(self, core: Core, passwords: Passwords, new_people_role: Role | None) -> None:
        self._core = core
        self._passwords = passwords
        self._new_people_role = new_people_role

    async def person_of(self, session_secret: str) -> Person | None:
        """Whose session that is; None when there is none, or its time is over."""
        async with self._core.database.read() as tx:
            person_id = await session_store.find_session(tx, hash_secret(session_secret), self._core.now())
            return None if person_id is None else await person_store.find_person(tx, person_id)

    async def sign_in(self, email: str, password: str) -> OpenedSession:
        """Open a session with a password.

        Raises:
            Unauthenticated: there is no such person, or the password is wrong; which of both is not told.
        """
        async with self._core.database.read() as tx:
            person = await person_store.find_person_by_email(tx, email.strip().lower())
            known = None if person is None else await person_store.password_hash_of(tx, person.id)
        if not await self._passwords.verify(known, password) or person is None:
            await self._record_failure(person, email, "by password")
            raise Unauthenticated("the address or the password is wrong")
        async with self._core.database.write() as tx:
            await tx.lock(Lock.PEOPLE)
            await self._record(tx, person, Action.SIGN_IN, "by password")
            return await self._open_session(tx, person)

    async def sign_out(self, session_secret: str) -> None:
        """End a session. One that has ended is a success."""
        async with self._core.database.write() as tx:
            await session_store.remove_session(tx, hash_secret(session_secret))

    async def change_password(self, person: Person, old: str, new: str) -> OpenedSession:
        """Set a person's password. All their sessions end; a new one opens.

        Raises:
            InvalidInput: the new password can't serve as one.
            Unauthenticated: the old one is wrong.
        """
        checked = checked_password(new, (person.name, person.email))
        async with self._core.database.read() as tx:
            known = await person_store.password_hash_of(tx, person.id)
        if not await self._passwords.verify(known, old):
            raise Unauthenticated("the old password is wrong")
        password_hash = await self._passwords.hash(checked)
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PEOPLE)
            await person_store.set_password_hash(tx, person.id, password_hash)
            await session_store.remove_sessions_of(tx, person.id)
            await self._record(tx, person, Action.PASSWORD_CHANGE)
            return await self._open_session(tx, person)

    async def reset_password(self, email: str, new: str) -> Person:
        """Give a person another password, for whoever runs the server: sessions and tokens of the person end.

        Raises:
            InvalidInput: the new password can't serve as one.
            NotFound: there is no such person.
        """
        async with self._core.database.read() as tx:
            person = await person_store.find_person_by_email(tx, checked_email(email))
        if person is None:
            raise NotFound(f"nobody here has the address {email}")
        password_hash = await self._passwords.hash(checked_password(new, (person.name, person.email)))
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PEOPLE)
            await person_store.set_password_hash(tx, person.id, password_hash)
            await session_store.remove_sessions_of(tx, person.id)
            await token_store.revoke_tokens_of_person(tx, person.id, self._core.now())
            who, target = server_party("stoker reset-password"), person_party(person)
            await record_for_person(self._core, tx, who, Action.PASSWORD_RESET, target, person)
        return person

    async def offer(self, invitation_secret: str) -> OfferedPlace:
        """What an invitation offers.

        Raises:
            NotFound: it was used, revoked, or has expired.
        """
        async with self._core.database.read() as tx:
            invitation = await self._require_invitation(tx, invitation_secret)
            organization = await organization_store.find_organization(tx, invitation.organization_id)
            known = await person_store.find_person_by_email(tx, invitation.email) if invitation.email else None
        if organization is None:
            raise NotFound("the organization of this invitation is gone")
        return OfferedPlace(invitation, organization, is_known=known is not None)

    async def join(self, invitation_secret: str, email: str, name: str, password: str) -> OpenedSession:
        """Make an account and take the place that an invitation offers.

        Args:
            invitation_secret: from the link.
            email: counts only for a first owner; everybody else was invited by their address.
            name: how others see the person.
            password: what they will sign in with.

        Raises:
            AlreadyExists: there is an account with that address; sign in, then open the link again.
            InvalidInput: the address, name or password can't be one.
            NotFound: the invitation was used, revoked, or has expired.
        """
        async with self._core.database.read() as tx:
            invitation = await self._require_invitation(tx, invitation_secret)
        address = checked_email(invitation.email or email)
        checked = checked_name(name, "your name")
        password_hash = await self._passwords.hash(checked_password(password, (checked, address)))
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PEOPLE)
            if await person_store.find_person_by_email(tx, address) is not None:
                raise AlreadyExists(f"{address} has an account already; sign in, then open the link again")
            person = await self._add_person(tx, address, checked)
            await person_store.set_password_hash(tx, person.id, password_hash)
            await self._take_place(tx, invitation_secret, person)
            return await self._open_session(tx, person)

    async def join_as(self, invitation_secret: str, person: Person) -> None:
        """Take the place that an invitation offers, with an account that is there.

        Raises:
            NotFound: the invitation was used, revoked, or has expired.
        """
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PEOPLE)
            await self._take_place(tx, invitation_secret, person)

    async def sign_in_with(self, identity: CompanyIdentity, invitation_secret: str | None) -> OpenedSession:
        """Open a session for somebody whom the company's provider has vouched for.

        A person is found by the provider's subject, or the first time by an address that the provider has verified.
        With an invitation, its place is taken, and an account is made where there is none.

        Raises:
            NotFound: the invitation was used, revoked, or has expired.
            PermissionDenied: nobody here is known by that address, and new people aren't taken.
        """
        try:
            return await self._sign_in_with(identity, invitation_secret)
        except PermissionDenied:
            await self._record_failure(None, identity.email, "by the company's sign-in")
            raise

    async def _sign_in_with(self, identity: CompanyIdentity, invitation_secret: str | None) -> OpenedSession:
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PEOPLE)
            person = await person_store.find_person_by_identity(tx, identity)
            if person is None:
                person = await self._recognize(tx, identity, is_invited=invitation_secret is not None)
            if invitation_secret is not None:
                await self._take_place(tx, invitation_secret, person)
            await self._record(tx, person, Action.SIGN_IN, "by the company's sign-in")
            return await self._open_session(tx, person)

    async def _recognize(self, tx: Transaction, identity: CompanyIdentity, *, is_invited: bool) -> Person:
        if not identity.is_email_verified:
            raise PermissionDenied("your company's sign-in has not verified your address, so you can't be found by it")
        address = checked_email(identity.email)
        person = await person_store.find_person_by_email(tx, address)
        if person is not None and await person_store.identity_of(tx, person.id) is not None:
            raise PermissionDenied(f"{address} belongs to another account of your company's sign-in; ask an operator")
        if person is None:
            if self._new_people_role is None and not is_invited:
                raise PermissionDenied(f"{address} is not known here; ask an owner of your organization to invite you")
            person = await self._add_person(tx, address, identity.name.strip()[:MAX_NAME_LENGTH] or address)
            await self._take_new_persons_place(tx, person)
        await person_store.set_identity(tx, person.id, identity)
        return person

    async def _take_new_persons_place(self, tx: Transaction, person: Person) -> None:
        organization = await organization_store.oldest_organization(tx)
        if self._new_people_role is not None and organization is not None:
            membership = Membership(organization.id, person.id, self._new_people_role, self._core.now())
            await person_store.add_membership(tx, membership)
            await self._record_joining(tx, organization.id, person, f"as {self._new_people_role}, new")

    async def _add_person(self, tx: Transaction, email: str, name: str) -> Person:
        person = Person(id=self._core.new_id(), email=email, name=name, is_operator=False, created_at=self._core.now())
        await person_store.add_person(tx, person)
        return person

    async def _take_place(self, tx: Transaction, invitation_secret: str, person: Person) -> None:
        invitation = await self._require_invitation(tx, invitation_secret)
        if not await invitation_store.remove_invitation(tx, invitation.organization_id, invitation.id):
            raise _unknown_link()  # it was revoked a moment ago
        role = await person_store.role_of(tx, invitation.organization_id, person.id)
        if role is None:
            membership = Membership(invitation.organization_id, person.id, invitation.role, self._core.now())
            await person_store.add_membership(tx, membership)
            await self._record_joining(tx, invitation.organization_id, person, f"as {invitation.role}, invited")
        elif invitation.role.covers(role):
            await person_store.change_role(tx, invitation.organization_id, person.id, invitation.role)
            detail = f"{role} → {invitation.role}, invited"
            await self._record_joining(tx, invitation.organization_id, person, detail)
        if invitation.makes_operator:
            await person_store.make_operator(tx, person.id)

    async def _record(self, tx: Transaction, person: Person, action: Action, detail: str = "") -> None:
        party = person_party(person)
        await record_for_person(self._core, tx, party, action, party, person, detail)

    async def _record_joining(self, tx: Transaction, organization_id: str, person: Person, detail: str) -> None:
        party = person_party(person)
        await record(self._core, tx, party, Action.MEMBER_JOIN, party, organization_id, detail)

    async def _record_failure(self, person: Person | None, email: str, detail: str) -> None:
        async with self._core.database.write() as tx:
            if person is not None:
                target = person_party(person)
                await record_for_person(self._core, tx, NOBODY, Action.SIGN_IN_FAILED, target, person, detail)
                return
            # People type their passwords into the wrong field; what is not an address is not written down.
            try:
                name = checked_email(email)
            except InvalidInput:
                name = ""
            await record(self._core, tx, NOBODY, Action.SIGN_IN_FAILED, Party("person", "", name), None, detail)

    async def _require_invitation(self, tx: Transaction, secret: str) -> Invitation:
        invitation = await invitation_store.find_invitation(tx, hash_secret(secret), self._core.now())
        if invitation is None:
            raise _unknown_link()
        return invitation

    async def _open_session(self, tx: Transaction, person: Person) -> OpenedSession:
        secret = new_secret(self._core.randomness)
        now = self._core.now()
        expires_at = now + self._core.limits.people.session_lifetime
        await session_store.add_session(tx, secret.secret_hash, person.id, now, expires_at)
        await session_store.end_oldest_sessions(tx, person.id, self._core.limits.people.max_sessions)
        return OpenedSession(person, secret.secret)


def _unknown_link() -> NotFound:
    return NotFound("this link does not work: it was used or revoked, or has expired; ask for another one")
