"""The pages of one organization: who looks at them, and what they may do there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stoker.auth.access import role_needed
from stoker.domain.errors import NotFound
from stoker.web.forms import read_form
from stoker.web.pages import Pages

if TYPE_CHECKING:
    from starlette.requests import Request

    from stoker.domain.people import Role
    from stoker.domain.principals import Principal
    from stoker.domain.projects import Organization
    from stoker.web.sessions import SignedIn


@dataclass(frozen=True, slots=True)
class Place:
    """An organization, and a member of it who is signed in."""

    who: SignedIn
    member: Principal
    organization: Organization
    role: Role

    @property
    def address(self) -> str:
        """Where the organization's pages are."""
        return f"/organizations/{self.organization.id}"

    def caller_of(self, method: str) -> Principal:
        """The member as a caller of a method of the API, with the role that the table of who may call what asks for."""
        return replace(self.member, needed_role=role_needed(method))

    def may(self, method: str) -> bool:
        """Whether the member's role is enough for a method, so that what it does is offered to them."""
        return self.role.covers(role_needed(method))


class PlacePages(Pages):
    """The base of groups of pages of one organization."""

    async def place(self, request: Request) -> Place | None:
        """The organization of a page's address, as its reader sees it; None when they have to sign in first.

        Raises:
            NotFound: there is no such organization, or the reader is no member of it.
        """
        return await self.place_of(request, request.path_params["organization_id"])

    async def place_of(self, request: Request, organization_id: str) -> Place | None:
        """An organization as the reader of a page sees it; None when they have to sign in first.

        Raises:
            NotFound: there is no such organization, or the reader is no member of it.
        """
        who = await self.who(request)
        if who is None:
            return None
        person = await self.services.authentication.person(who.person.id, "session")
        account = await self.services.organizations.account(person)
        for organization, role in account.organizations:
            if organization.id == organization_id:
                member = replace(person, organization_ids=(organization.id,), roles={organization.id: role})
                return Place(who, member, organization, role)
        raise NotFound("there is no such organization, or you are no member of it; ask an owner of it to invite you")

    async def form(self, request: Request, place: Place) -> dict[str, str]:
        """The fields of a form that came from one of the reader's own pages.

        Raises:
            InvalidInput: it can't be read.
            PermissionDenied: it didn't come from there.
        """
        form = await read_form(request)
        place.who.require_form(form)
        return form
