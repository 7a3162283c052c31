"""`depot.core.v1.ProjectService` and the depot CLI's `ProjectsService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker._gen.depot.cli.v1beta1 import projects_pb as cli_pb
from stoker._gen.depot.cli.v1beta1.projects_connect import ProjectsService as CliProjects
from stoker._gen.depot.core.v1 import project_pb as pb
from stoker._gen.depot.core.v1.project_connect import ProjectService as Projects
from stoker.domain.projects import NOTE_HEADER, ProjectChange
from stoker.rpc.caller import caller
from stoker.rpc.depot import trust_policies
from stoker.rpc.encoding import decode_cache_policy, decode_hardware, encode_project
from stoker.services.projects import NewProject, ProjectService

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.services.tokens import TokenService
    from stoker.services.trust_policies import TrustPolicyService


class ProjectHandlers(Projects):
    """Projects, for SDKs and the depot CLI."""

    def __init__(self, projects: ProjectService, tokens: TokenService, policies: TrustPolicyService) -> None:
        self._projects = projects
        self._tokens = tokens
        self._policies = policies

    async def create_project(
        self, request: pb.CreateProjectRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.CreateProjectResponse:
        """Create a project."""
        policy = request.cache_policy if request.has_field("cache_policy") else None
        wanted = NewProject(
            name=request.name,
            region_id=request.region_id,
            organization_id=request.organization_id if request.has_field("organization_id") else None,
            hardware=decode_hardware(request.hardware if request.has_field("hardware") else None),
            cache_policy=decode_cache_policy(policy, new=True),
        )
        return pb.CreateProjectResponse(project=encode_project(await self._projects.create(caller(), wanted)))

    async def list_projects(
        self, request: pb.ListProjectsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListProjectsResponse:
        """List the projects that the caller may see."""
        region_id = request.region_id if request.has_field("region_id") else None
        projects = await self._projects.list(caller(), region_id)
        return pb.ListProjectsResponse(projects=[encode_project(project) for project in projects])

    async def get_project(
        self, request: pb.GetProjectRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.GetProjectResponse:
        """Get one project."""
        project = await self._projects.get(caller(), request.project_id)
        return pb.GetProjectResponse(project=encode_project(project))

    async def update_project(
        self, request: pb.UpdateProjectRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.UpdateProjectResponse:
        """Change what the request names."""
        policy = request.cache_policy if request.has_field("cache_policy") else None
        change = ProjectChange(
            name=request.name if request.has_field("name") else None,
            region_id=request.region_id if request.has_field("region_id") else None,
            hardware=decode_hardware(request.hardware if request.has_field("hardware") else None),
            cache_policy=decode_cache_policy(policy),
        )
        updated = await self._projects.update(caller(), request.project_id, change)
        if updated.move is not None:
            # Depot's answer has no place for it.
            ctx.response_headers[NOTE_HEADER] = updated.move.note
        return pb.UpdateProjectResponse(project=encode_project(updated.project))

    async def delete_project(
        self, request: pb.DeleteProjectRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.DeleteProjectResponse:
        """Delete a project with its cache."""
        await self._projects.delete(caller(), request.project_id)
        return pb.DeleteProjectResponse()

    async def reset_project(
        self, request: pb.ResetProjectRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ResetProjectResponse:
        """Destroy a project's cache."""
        await self._projects.reset(caller(), request.project_id)
        return pb.ResetProjectResponse()

    async def create_token(
        self, request: pb.CreateTokenRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.CreateTokenResponse:
        """Create a token of a project; its secret is in this answer alone."""
        created = await self._tokens.create(caller(), request.project_id, request.description)
        return pb.CreateTokenResponse(token_id=created.id, secret=created.secret)

    async def list_tokens(
        self, request: pb.ListTokensRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListTokensResponse:
        """List a project's tokens, without their secrets."""
        tokens = await self._tokens.list(caller(), request.project_id)
        return pb.ListTokensResponse(
            tokens=[pb.ListTokensResponse.Token(token_id=token.id, description=token.description) for token in tokens]
        )

    async def update_token(
        self, request: pb.UpdateTokenRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.UpdateTokenResponse:
        """Change a token's description."""
        await self._tokens.describe(caller(), request.token_id, request.description)
        return pb.UpdateTokenResponse()

    async def delete_token(
        self, request: pb.DeleteTokenRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.DeleteTokenResponse:
        """Revoke a token."""
        await self._tokens.delete(caller(), request.token_id)
        return pb.DeleteTokenResponse()

    async def add_trust_policy(
        self, request: pb.AddTrustPolicyRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.AddTrustPolicyResponse:
        """Let a CI's OIDC tokens build in a project."""
        return await trust_policies.add(self._policies, request)

    async def list_trust_policies(
        self, request: pb.ListTrustPoliciesRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListTrustPoliciesResponse:
        """List a project's trust policies."""
        return await trust_policies.list_all(self._policies, request)

    async def remove_trust_policy(
        self, request: pb.RemoveTrustPolicyRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.RemoveTrustPolicyResponse:
        """Remove a trust policy."""
        return await trust_policies.remove(self._policies, request)


class CliProjectHandlers(CliProjects):
    """Projects, as the depot CLI lists them when it has to ask for one."""

    def __init__(self, projects: ProjectService) -> None:
        self._projects = projects

    async def list_projects(
        self, request: cli_pb.ListProjectsRequest, ctx: RequestContext[Any, Any], /
    ) -> cli_pb.ListProjectsResponse:
        """List the projects that the caller may see."""
        names = await self._organization_names()
        projects = await self._projects.list(caller())
        return cli_pb.ListProjectsResponse(
            projects=[
                cli_pb.ListProjectsResponse.Project(
                    id=project.id,
                    name=project.name,
                    org_id=project.organization_id,
                    org_name=names[project.organization_id],
                )
                for project in projects
            ]
        )

    async def reset_project_cache(
        self, request: cli_pb.ResetProjectCacheRequest, ctx: RequestContext[Any, Any], /
    ) -> cli_pb.ResetProjectCacheResponse:
        """Destroy a project's cache."""
        names = await self._organization_names()
        project = await self._projects.reset(caller(), request.project_id)
        return cli_pb.ResetProjectCacheResponse(name=project.name, org_name=names[project.organization_id])

    async def _organization_names(self) -> dict[str, str]:
        return {organization.id: organization.name for organization in await self._projects.organizations(caller())}
