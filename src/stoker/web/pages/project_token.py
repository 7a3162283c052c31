"""The tokens of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.projects import MAX_NAME_LENGTH
from stoker.web.owner import AT_THE_FORM, ContextPages, form_of
from stoker.web.page import go_to, render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.domain.errors import StokerError
    from stoker.services.tokens import CreatedToken
    from stoker.web.owner import ProjectReader

_LIST = "stoker.v1.TrustService/ListProjectTokens"
_CREATE = "stoker.v1.TrustService/CreateProjectToken"
_REVOKE = "depot.core.v1.ProjectService/DeleteToken"


class ProjectTokenPages(ContextPages):
    """Tokens that work for one project only, for owners of its organization."""

    async def show(self, request: Request) -> Response:
        """GET /projects/{project_id}/tokens."""
        return await self._page(await self.project_reader(request))

    async def create(self, request: Request) -> Response:
        """POST /projects/{project_id}/tokens: the answer shows the secret, which is in no address and no other page."""
        reader = await self.project_reader(request)
        form, caller = await form_of(request, reader), reader.calling(_CREATE)
        description, untrusted = form.get("description", ""), "untrusted" in form
        try:
            created = await self.services.tokens.create(caller, reader.project.id, description, untrusted=untrusted)
        except AT_THE_FORM as error:
            return await self._page(reader, description=description, untrusted=untrusted, problem=error)
        return await self._page(reader, created=created)

    async def revoke(self, request: Request) -> Response:
        """POST /projects/{project_id}/tokens/{token_id}/revoke."""
        reader = await self.project_reader(request, f"/projects/{request.path_params['project_id']}/tokens")
        await form_of(request, reader)
        await self.services.tokens.delete(reader.calling(_REVOKE), request.path_params["token_id"])
        return go_to(f"/projects/{reader.project.id}/tokens")

    async def _page(
        self,
        reader: ProjectReader,
        *,
        description: str = "",
        untrusted: bool = False,
        created: CreatedToken | None = None,
        problem: StokerError | None = None,
    ) -> Response:
        tokens = await self.services.tokens.list(reader.calling(_LIST), reader.project.id)
        return render(
            "project_tokens.html",
            reader.who,
            reader=reader,
            tokens=list(reversed(tokens)),
            description=description,
            max_description=MAX_NAME_LENGTH,
            untrusted=untrusted,
            created=created,
            problem=problem,
            now=self.context.now(),
        )
