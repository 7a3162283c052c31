"""An organization's members, and who is invited to become one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput, StokerError
from stoker.domain.people import Role
from stoker.web.listing import asked_part, part_of, sliced
from stoker.web.organization_places import PlacePages
from stoker.web.pages import go_to, render, sign_in_first, status_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.services.organizations import CreatedInvitation
    from stoker.web.organization_places import Place

_SERVICE = "stoker.v1.OrganizationService"
_ROLES = {
    Role.VIEWER: "sees projects and builds",
    Role.MEMBER: "builds as well",
    Role.OWNER: "decides about projects, tokens and members",
}


class MemberPages(PlacePages):
    """Members for all of them to see, and for owners to change."""

    async def show(self, request: Request) -> Response:
        """GET /organizations/{organization_id}/members."""
        place = await self.place(request)
        return sign_in_first(request) if place is None else await self._page(request, place)

    async def change(self, request: Request) -> Response:
        """POST /organizations/{organization_id}/members: what the form's ``action`` says."""
        place = await self.place(request)
        if place is None:
            return sign_in_first(request)
        form = await self.form(request, place)
        try:
            invited = await self._change(place, form)
        except StokerError as error:
            return await self._page(request, place, problem=error, form=form)
        if invited is not None:
            return await self._page(request, place, invited=invited)
        is_self = form.get("person") == place.who.person.id and form["action"] == "remove"
        return go_to("/" if is_self else f"{place.address}/members")

    async def _change(self, place: Place, form: dict[str, str]) -> CreatedInvitation | None:
        organizations, organization_id = self.services.organizations, place.organization.id
        person_id = form.get("person", "")
        match form.get("action"):
            case "invite":
                caller = place.caller_of(f"{_SERVICE}/CreateInvitation")
                return await organizations.invite(caller, organization_id, form.get("email", ""), _role(form))
            case "withdraw":
                caller = place.caller_of(f"{_SERVICE}/RevokeInvitation")
                await organizations.revoke_invitation(caller, organization_id, form.get("invitation", ""))
            case "change-role":
                caller = place.caller_of(f"{_SERVICE}/ChangeMemberRole")
                await organizations.change_role(caller, organization_id, person_id, _role(form))
            case "remove":
                caller = place.caller_of(f"{_SERVICE}/RemoveMember")
                await organizations.remove_member(caller, organization_id, person_id)
            case _:
                raise InvalidInput("this form doesn't say what to do; open its page again")
        return None

    async def _page(
        self,
        request: Request,
        place: Place,
        *,
        problem: StokerError | None = None,
        form: dict[str, str] | None = None,
        invited: CreatedInvitation | None = None,
    ) -> Response:
        organizations, asked = self.services.organizations, asked_part(request)
        caller = place.caller_of(f"{_SERVICE}/ListMembers")
        members = await organizations.members_page(caller, place.organization.id, asked)
        is_owner = place.may(f"{_SERVICE}/CreateInvitation")
        invitations = []
        if is_owner:
            caller = place.caller_of(f"{_SERVICE}/ListInvitations")
            invitations = await organizations.invitations(caller, place.organization.id)
        given = form if form is not None and form.get("action") == "invite" else {}
        return render(
            "members.html",
            place.who,
            status=200 if problem is None else status_of(problem),
            place=place,
            members=part_of(request, members, asked),
            invitations=sliced(request, invitations, "invited-after"),
            is_owner=is_owner,
            roles=_ROLES,
            invited=invited,
            email=given.get("email", ""),
            chosen=given.get("role", Role.MEMBER.value),
            problem="" if problem is None else problem.message,
        )


def _role(form: dict[str, str]) -> Role:
    try:
        return Role(form.get("role", ""))
    except ValueError as error:
        raise InvalidInput(f"there is no such role; choose one of: {', '.join(Role)}") from error
