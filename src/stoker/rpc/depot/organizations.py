"""`depot.core.v1.OrganizationService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.depot.core.v1 import organization_pb as pb
from stoker._gen.depot.core.v1.organization_connect import OrganizationService
from stoker.rpc.caller import caller

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.services.projects import ProjectService


class OrganizationHandlers(OrganizationService):
    """The caller's organizations."""

    def __init__(self, projects: ProjectService) -> None:
        self._projects = projects

    async def list_organizations(
        self, request: pb.ListOrganizationsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListOrganizationResponse:
        """List them, oldest first."""
        return pb.ListOrganizationResponse(
            organizations=[
                pb.ListOrganizationResponse.Organization(
                    org_id=organization.id,
                    name=organization.name,
                    created_at=Timestamp.from_datetime(organization.created_at),
                )
                for organization in await self._projects.organizations(caller())
            ]
        )
