"""An organization's members and invitations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput
from stoker.domain.people import Role
from stoker.web.listing import asked_part, part_of, sliced
from stoker.web.page import render
from stoker.web.pages.form import FormPages, FormState, unknown_action

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.services.organizations import CreatedInvitation
    from stoker.web.owner import Reader

_SERVICE = "stoker.v1.OrganizationService"
_ROLES = {
    Role.VIEWER: "sees projects and builds",
    Role.MEMBER: "builds as well",
    Role.OWNER: "manages projects, tokens and members",
}


class MemberPages(FormPages["CreatedInvitation"]):
    """Members: everybody sees them, owners change them."""

    async def act(self, reader: Reader, form: dict[str, str]) -> CreatedInvitation | None:
        """POST /organizations/{organization_id}/members: one of its actions."""
        organizations, organization_id = self.services.organizations, reader.organization.id
        person_id = form.get("person", "")
        match form.get("action"):
            case "invite":
                caller = reader.calling(f"{_SERVICE}/CreateInvitation")
                return await organizations.invite(caller, organization_id, form.get("email", ""), _role(form))
            case "withdraw":
                caller = reader.calling(f"{_SERVICE}/RevokeInvitation")
                await organizations.revoke_invitation(caller, organization_id, form.get("invitation", ""))
            case "change-role":
                caller = reader.calling(f"{_SERVICE}/ChangeMemberRole")
                await organizations.change_role(caller, organization_id, person_id, _role(form))
            case "remove":
                caller = reader.calling(f"{_SERVICE}/RemoveMember")
                await organizations.remove_member(caller, organization_id, person_id)
            case _:
                raise unknown_action()
        return None

    async def page(self, request: Request, reader: Reader, state: FormState[CreatedInvitation]) -> Response:
        """GET /organizations/{organization_id}/members."""
        organizations, asked = self.services.organizations, asked_part(request, self.context.page_sizes.rows)
        caller = reader.calling(f"{_SERVICE}/ListMembers")
        members = await organizations.members_page(caller, reader.organization.id, asked)
        is_owner = reader.may(f"{_SERVICE}/CreateInvitation")
        invitations = []
        if is_owner:
            caller = reader.calling(f"{_SERVICE}/ListInvitations")
            invitations = await organizations.invitations(caller, reader.organization.id)
        given = state.form if state.form.get("action") == "invite" else dict[str, str]()
        return render(
            "members.html",
            reader.who,
            reader=reader,
            members=part_of(request, members, asked),
            invitations=sliced(request, invitations, asked.size, "invited-after"),
            is_owner=is_owner,
            roles=_ROLES,
            invited=state.created,
            email=given.get("email", ""),
            chosen=given.get("role", Role.MEMBER.value),
            problem=state.problem,
        )

    def address_after(self, reader: Reader, form: dict[str, str]) -> str:
        """The same page, or the start page for a reader who left."""
        is_self = form.get("person") == reader.who.person.id and form["action"] == "remove"
        return "/" if is_self else f"{reader.address}/members"


def _role(form: dict[str, str]) -> Role:
    try:
        return Role(form.get("role", ""))
    except ValueError as error:
        raise InvalidInput(f"there is no such role; choose one of: {', '.join(Role)}") from error
