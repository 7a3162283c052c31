"""What an organization's owners decide about it as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import PermissionDenied, StokerError
from stoker.web.organization_places import PlacePages
from stoker.web.pages import go_to, render, sign_in_first, status_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.web.organization_places import Place

_RENAME = "stoker.v1.OrganizationService/RenameOrganization"


class OrganizationSettingsPages(PlacePages):
    """An organization's name."""

    async def show(self, request: Request) -> Response:
        """GET /organizations/{organization_id}/settings."""
        place = await self.place(request)
        return sign_in_first(request) if place is None else self._page(place)

    async def change(self, request: Request) -> Response:
        """POST /organizations/{organization_id}/settings."""
        place = await self.place(request)
        if place is None:
            return sign_in_first(request)
        name = (await self.form(request, place)).get("name", "")
        try:
            await self.services.organizations.rename(place.caller_of(_RENAME), place.organization.id, name)
        except StokerError as error:
            return self._page(place, problem=error, name=name)
        return go_to(f"{place.address}/settings")

    def _page(self, place: Place, *, problem: StokerError | None = None, name: str | None = None) -> Response:
        if not place.may(_RENAME):
            raise PermissionDenied("only owners of this organization decide about it; ask one of them")
        return render(
            "organization_settings.html",
            place.who,
            status=200 if problem is None else status_of(problem),
            place=place,
            name=place.organization.name if name is None else name,
            problem="" if problem is None else problem.message,
        )
