"""The organization or project that a page is about, as its reader may see it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stoker.auth.access import METHODS, Rule
from stoker.domain.errors import FailedPrecondition, InvalidInput, NotFound, ResourceExhausted
from stoker.domain.people import Role
from stoker.web.forms import read_form
from stoker.web.page import Pages

if TYPE_CHECKING:
    from starlette.requests import Request

    from stoker.domain.principals import Principal
    from stoker.domain.projects import Organization, Project
    from stoker.services.organizations import Account
    from stoker.web.sessions import SignedIn

AT_THE_FORM = (InvalidInput, FailedPrecondition, ResourceExhausted)
"""What is said beside a form, with all that was typed still in it."""


def role_for(method: str) -> Role:
    """The role that a method of the API (``package.Service/Method``) needs, which its form here needs too."""
    rule = METHODS[method]
    return rule.role if isinstance(rule, Rule) and rule.role is not None else Role.VIEWER


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who is signed in, and what they are in the organization that a page is about.

    As a caller they are in that organization alone, whatever others they have, so that no form of its pages reaches
    into another one.
    """

    who: SignedIn
    person: Principal
    organization: Organization
    role: Role

    @property
    def address(self) -> str:
        """Where the organization's pages are."""
        return f"/organizations/{self.organization.id}"

    def calling(self, method: str) -> Principal:
        """The reader as a caller of a service, as that method of the API calls it.

        Raises:
            PermissionDenied: their role is too small for it.
        """
        caller = replace(self.person, needed_role=role_for(method))
        caller.require_role(self.organization.id)
        return caller

    def may(self, method: str) -> bool:
        """Whether what leads to that method is shown."""
        return self.role.covers(role_for(method))


@dataclass(frozen=True, slots=True)
class ProjectReader(Reader):
    """The same, of a page that is about a project."""

    project: Project


class PlacedPages(Pages):
    """The base of pages about one organization or project. Who isn't signed in is None; they are to sign in first."""

    async def reader(self, request: Request) -> Reader | None:
        """The reader of ``/organizations/{organization_id}``.

        Raises:
            NotFound: there is no such organization, or it isn't the reader's.
        """
        who = await self.who(request)
        if who is None:
            return None
        person = await self.services.authentication.person(who.person.id, "session")
        account = await self.services.organizations.account(person)
        return reader_of(who, person, account, request.path_params["organization_id"])

    async def project_reader(self, request: Request) -> ProjectReader | None:
        """The reader of ``/projects/{project_id}``.

        Raises:
            NotFound: there is no such project, or it isn't in an organization of the reader's.
        """
        who = await self.who(request)
        if who is None:
            return None
        person = await self.services.authentication.person(who.person.id, "session")
        project = await self.services.projects.get(person, request.path_params["project_id"])
        account = await self.services.organizations.account(person)
        reader = reader_of(who, person, account, project.organization_id)
        return ProjectReader(reader.who, reader.person, reader.organization, reader.role, project)


def reader_of(who: SignedIn, person: Principal, account: Account, organization_id: str) -> Reader:
    """Somebody as the reader of an organization's page.

    Raises:
        NotFound: there is no such organization, or it isn't the reader's.
    """
    for organization, role in account.organizations:
        if organization.id == organization_id:
            person = replace(person, organization_ids=(organization.id,), roles={organization.id: role})
            return Reader(who, person, organization, role)
    raise NotFound(f"organization {organization_id[:40]} was not found among yours; the start page has those")


async def form_of(request: Request, reader: Reader) -> dict[str, str]:
    """What a form has, when it came from one of the reader's own pages.

    Raises:
        InvalidInput: it can't be read.
        PermissionDenied: it came from elsewhere, or is out of date.
    """
    form = await read_form(request)
    reader.who.require_form(form)
    return form
