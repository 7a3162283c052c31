"""The trust policies of a project: which CI jobs may build in it without a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.trust_policies import ProviderKind
from stoker.web.owner import AT_THE_FORM, ContextPages, form_of
from stoker.web.page import go_to, render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.domain.errors import StokerError
    from stoker.web.owner import ProjectReader

_LIST = "stoker.v1.TrustService/ListPolicies"
_ADD = "stoker.v1.TrustService/AddPolicy"
_REMOVE = "depot.core.v1.ProjectService/RemoveTrustPolicy"

# What each kind of provider calls its sources, and an example of each.
_WORDS = {
    ProviderKind.GITHUB: ("Repository owner", "acme", "Repository", "web"),
    ProviderKind.GITLAB: ("Group or user", "acme/backend", "Project", "web"),
    ProviderKind.BUILDKITE: ("Organization slug", "acme", "Pipeline slug", "web"),
    ProviderKind.CIRCLECI: (
        "Organization UUID",
        "01234567-89ab-cdef-0123-456789abcdef",
        "Project UUID",
        "01234567-89ab-cdef-0123-456789abcdef",
    ),
}
_NAMES = {"github": "GitHub", "buildkite": "Buildkite", "circleci": "CircleCI", "gitlab": "GitLab"}


class TrustPolicyPages(ContextPages):
    """Trust policies: all members see them, owners change them."""

    async def show(self, request: Request) -> Response:
        """GET /projects/{project_id}/trust-policies."""
        return await self._page(await self.project_reader(request), {})

    async def add(self, request: Request) -> Response:
        """POST /projects/{project_id}/trust-policies."""
        reader = await self.project_reader(request)
        form, caller = await form_of(request, reader), reader.calling(_ADD)
        try:
            await self.services.trust_policies.add(
                caller,
                reader.project.id,
                form.get("provider", ""),
                form.get("owner", ""),
                form.get("source", ""),
                untrusted="untrusted" in form,
            )
        except AT_THE_FORM as error:
            return await self._page(reader, form, error)
        return go_to(f"/projects/{reader.project.id}/trust-policies")

    async def remove(self, request: Request) -> Response:
        """POST /projects/{project_id}/trust-policies/{policy_id}/remove."""
        reader = await self.project_reader(request, f"/projects/{request.path_params['project_id']}/trust-policies")
        await form_of(request, reader)
        await self.services.trust_policies.remove(
            reader.calling(_REMOVE), reader.project.id, request.path_params["policy_id"]
        )
        return go_to(f"/projects/{reader.project.id}/trust-policies")

    async def _page(self, reader: ProjectReader, typed: dict[str, str], problem: StokerError | None = None) -> Response:
        policies = await self.services.trust_policies.list(reader.calling(_LIST), reader.project.id)
        providers = self.services.trust_policies.providers
        return render(
            "trust_policies.html",
            reader.who,
            reader=reader,
            policies=policies,
            providers=[(one, _WORDS[one.kind]) for one in providers if one.kind is not None],
            names=_NAMES,
            may_add=reader.may(_ADD),
            may_remove=reader.may(_REMOVE),
            typed=typed,
            problem=problem,
            now=self.context.now(),
        )
