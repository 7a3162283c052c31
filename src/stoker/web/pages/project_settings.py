"""The settings of a project; reset its cache, and delete it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput, StokerError
from stoker.domain.hardware import Hardware
from stoker.domain.projects import ProjectChange
from stoker.web.owner import AT_THE_FORM, ContextPages, form_of
from stoker.web.page import go_to, render
from stoker.web.project_forms import fields_of, hardware_of, policy_of, typed_fields

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.web.owner import ProjectReader

_UPDATE = "depot.core.v1.ProjectService/UpdateProject"
_RESET = "depot.core.v1.ProjectService/ResetProject"
_DELETE = "depot.core.v1.ProjectService/DeleteProject"
_DONE = {
    "saved": "The settings were saved.",
    "moved": "The settings were saved. The next build starts with an empty cache in the new region.",
    "returned": "The settings were saved. The project has the cache again that it had in this region before.",
    "reset": "The cache was reset. The next build starts with an empty one.",
}


class ProjectSettingsPages(ContextPages):
    """Settings: all members see them, some roles change them."""

    async def show(self, request: Request) -> Response:
        """GET /projects/{project_id}/settings."""
        reader = await self.project_reader(request)
        return self._page(reader, done=_DONE.get(request.query_params.get("done", ""), ""))

    async def save(self, request: Request) -> Response:
        """POST /projects/{project_id}/settings."""
        reader = await self.project_reader(request)
        fields, caller = typed_fields(await form_of(request, reader)), reader.calling(_UPDATE)
        try:
            change = ProjectChange(
                name=fields["name"],
                region_id=fields["region"],
                hardware=hardware_of(fields),
                cache_policy=policy_of(fields, fields_of(reader.project)),
            )
            updated = await self.services.projects.update(caller, reader.project.id, change)
        except AT_THE_FORM as error:
            return self._page(reader, fields=fields, at="settings", problem=error)
        done = "saved" if updated.move is None else "returned" if updated.move.has_cache else "moved"
        return go_to(f"/projects/{reader.project.id}/settings?done={done}")

    async def reset(self, request: Request) -> Response:
        """POST /projects/{project_id}/settings/reset."""
        reader = await self.project_reader(request, _settings_of(request))
        form, caller = await form_of(request, reader), reader.calling(_RESET)
        if not _is_confirmed(reader, form):
            return self._page(reader, at="reset", typed=form.get("confirm", ""), problem=_not_confirmed(reader))
        await self.services.projects.reset(caller, reader.project.id)
        return go_to(f"/projects/{reader.project.id}/settings?done=reset")

    async def delete(self, request: Request) -> Response:
        """POST /projects/{project_id}/settings/delete."""
        reader = await self.project_reader(request, _settings_of(request))
        form, caller = await form_of(request, reader), reader.calling(_DELETE)
        if not _is_confirmed(reader, form):
            return self._page(reader, at="delete", typed=form.get("confirm", ""), problem=_not_confirmed(reader))
        await self.services.projects.delete(caller, reader.project.id)
        return go_to(reader.address)

    def _page(
        self,
        reader: ProjectReader,
        *,
        fields: dict[str, str] | None = None,
        done: str = "",
        at: str = "",
        typed: str = "",
        problem: StokerError | None = None,
    ) -> Response:
        """The page; a problem is shown beside its form (``at``)."""
        return render(
            "project_settings.html",
            reader.who,
            reader=reader,
            fields=fields or fields_of(reader.project),
            regions=self.services.projects.regions,
            sizes=list(Hardware),
            may_update=reader.may(_UPDATE),
            may_reset=reader.may(_RESET),
            may_delete=reader.may(_DELETE),
            done=done,
            at=at,
            typed=typed,
            problem=problem,
        )


def _settings_of(request: Request) -> str:
    return f"/projects/{request.path_params['project_id']}/settings"


def _is_confirmed(reader: ProjectReader, form: dict[str, str]) -> bool:
    return form.get("confirm", "").strip() == reader.project.name


def _not_confirmed(reader: ProjectReader) -> InvalidInput:
    return InvalidInput(f"to confirm, type the project's exact name: {reader.project.name}")
