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
"""Errors that are shown beside a form, whose input is kept."""


def role_for(method: str) -> Role:
    """The role that a method of the API (``package.Service/Method``) requires, and so does its form."""
    rule = METHODS[method]
    return rule.role if isinstance(rule, Rule) and rule.role is not None else Role.VIEWER


@dataclass(frozen=True, slots=True)
class Reader:
    """A signed-in person, with their role in the organization of the page.

    As a caller they belong to that organization alone, so that no form of its pages reaches into another one.
    """

    who: SignedIn
    person: Principal
    organization: Organization
    role: Role

    @property
    def address(self) -> str:
        """The path of the organization's pages."""
        return f"/organizations/{self.organization.id}"

    def calling(self, method: str) -> Principal:
        """The reader as the principal of that method of the API.

        Raises:
            PermissionDenied: their role doesn't allow it.
        """
        caller = replace(self.person, needed_role=role_for(method))
        caller.require_role(self.organization.id)
        return caller

    def may(self, method: str) -> bool:
        """Whether to show links and forms of that method."""
        return self.role.covers(role_for(method))


@dataclass(frozen=True, slots=True)
class ProjectReader(Reader):
    """A reader of a project's page."""

    project: Project


class ContextPages(Pages):
    """The base of pages about one organization or project. Readers have to sign in first."""

    async def reader(self, request: Request) -> Reader:
        """The reader of ``/organizations/{organization_id}``.

        Raises:
            SignInFirst: nobody is signed in.
            NotFound: there is no such organization, or the reader isn't in it.
        """
        who = await self.signed_in(request)
        person = await self.services.authentication.person(who.person.id, "session")
        account = await self.services.organizations.account(person)
        return reader_of(who, person, account, request.path_params["organization_id"])

    async def project_reader(self, request: Request, afterwards: str | None = None) -> ProjectReader:
        """The reader of ``/projects/{project_id}``, who signs in first, and then gets ``afterwards`` or this page.

        Raises:
            SignInFirst: nobody is signed in.
            NotFound: there is no such project, or the reader isn't in its organization.
        """
        who = await self.signed_in(request, afterwards)
        person = await self.services.authentication.person(who.person.id, "session")
        project = await self.services.projects.get(person, request.path_params["project_id"])
        account = await self.services.organizations.account(person)
        reader = reader_of(who, person, account, project.organization_id)
        return ProjectReader(reader.who, reader.person, reader.organization, reader.role, project)


def reader_of(who: SignedIn, person: Principal, account: Account, organization_id: str) -> Reader:
    """A person as the reader of an organization's page.

    Raises:
        NotFound: there is no such organization, or the reader isn't in it.
    """
    for organization, role in account.organizations:
        if organization.id == organization_id:
            person = replace(person, organization_ids=(organization.id,), roles={organization.id: role})
            return Reader(who, person, organization, role)
    raise NotFound(f"organization {organization_id[:40]} was not found; the start page lists yours")


async def form_of(request: Request, reader: Reader) -> dict[str, str]:
    """The fields of a form, if it came from one of the reader's own pages.

    Raises:
        InvalidInput: it can't be read.
        PermissionDenied: it came from elsewhere, or is out of date.
    """
    form = await read_form(request)
    reader.who.require_form(form)
    return form
