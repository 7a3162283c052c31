"""People, and what each may do in an organization."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from stoker.domain.errors import FailedPrecondition, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

MIN_PASSWORD_LENGTH = 12
MAX_PASSWORD_LENGTH = 256
_MAX_EMAIL_LENGTH = 254
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f<>\"',;:\\()\[\]]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


class Role(StrEnum):
    """The roles: a viewer reads, a member builds as well, an owner manages the organization."""

    VIEWER = "viewer"
    MEMBER = "member"
    OWNER = "owner"

    def covers(self, needed: Role) -> bool:
        """Whether this role includes ``needed``."""
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER = (Role.VIEWER, Role.MEMBER, Role.OWNER)


@dataclass(frozen=True, slots=True)
class Person:
    """A person with an account. An operator may also create organizations."""

    id: str
    email: str
    name: str
    is_operator: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A person's role in an organization."""

    organization_id: str
    person_id: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A member as others of the organization see them."""

    person: Person
    role: Role
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """An offer to join an organization, made by link. It works once, and until ``expires_at``."""

    id: str
    organization_id: str
    role: Role
    email: str
    makes_operator: bool
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CompanyIdentity:
    """Who somebody is at the company's provider, by issuer and subject (OpenID Connect Core 1.0, section 5.7)."""

    issuer: str
    subject: str
    email: str
    is_email_verified: bool
    name: str


def checked_email(email: str) -> str:
    """``email`` as it is stored: without white space, in lower case.

    Raises:
        InvalidInput: it can't be an address.
    """
    stripped = email.strip().lower()
    if len(stripped) > _MAX_EMAIL_LENGTH or not _EMAIL.fullmatch(stripped):
        raise InvalidInput("that is not an email address, such as ada@example.com")
    return stripped


def checked_password(password: str, not_in: Collection[str] = ()) -> str:
    """``password``, if it is good enough (NIST SP 800-63B, section 5.1.1.2: long, and not the person's own data).

    Args:
        password: what somebody chose.
        not_in: their name and email address, which attackers try first.

    Raises:
        InvalidInput: it is too short, too long, or too easy to guess.
    """
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise InvalidInput(f"use a password of {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters")
    if len(set(password)) < 5 or password.lower() in {part.lower() for part in not_in}:
        raise InvalidInput("that password is too easy to guess; use several words or a password generator")
    return password


def require_an_owner_left(owners: Collection[str], person_id: str) -> None:
    """Check that an organization has an owner besides this person.

    Raises:
        FailedPrecondition: it has no other owner.
    """
    if set(owners) <= {person_id}:
        raise FailedPrecondition("an organization needs an owner; make somebody else one first")
