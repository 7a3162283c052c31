"""The settings of an organization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import PermissionDenied, StokerError
from stoker.web.owner import ContextPages, form_of
from stoker.web.page import go_to, render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.web.owner import Reader

_RENAME = "stoker.v1.OrganizationService/RenameOrganization"


class OrganizationSettingsPages(ContextPages):
    """An organization's name."""

    async def show(self, request: Request) -> Response:
        """GET /organizations/{organization_id}/settings."""
        return self._page(await self.reader(request))

    async def change(self, request: Request) -> Response:
        """POST /organizations/{organization_id}/settings."""
        reader = await self.reader(request)
        name = (await form_of(request, reader)).get("name", "")
        try:
            await self.services.organizations.rename(reader.calling(_RENAME), reader.organization.id, name)
        except StokerError as error:
            return self._page(reader, problem=error, name=name)
        return go_to(f"{reader.address}/settings")

    def _page(self, reader: Reader, *, problem: StokerError | None = None, name: str | None = None) -> Response:
        if not reader.may(_RENAME):
            raise PermissionDenied("only owners of this organization can change it; ask one of them")
        return render(
            "organization_settings.html",
            reader.who,
            reader=reader,
            name=reader.organization.name if name is None else name,
            problem=problem,
        )
