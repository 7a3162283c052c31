"""`depot.buildkit.v1.BuildKitService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf import Oneof

from stoker._gen.depot.buildkit.v1 import buildkit_pb as pb
from stoker._gen.depot.buildkit.v1.buildkit_connect import BuildKitService
from stoker.domain.errors import InvalidInput
from stoker.domain.leases import Endpoint
from stoker.rpc.caller import caller
from stoker.rpc.encoding import decode_platform

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.services.endpoints import EndpointService, Pending


class BuildKitHandlers(BuildKitService):
    """Endpoints, for SDKs."""

    def __init__(self, endpoints: EndpointService) -> None:
        self._endpoints = endpoints

    async def get_endpoint(
        self, request: pb.GetEndpointRequest, ctx: RequestContext[Any, Any], /
    ) -> AsyncIterator[pb.GetEndpointResponse]:
        """Stream pending until the machine is ready, then active."""
        platform = decode_platform(request.platform)
        async for answer in self._endpoints.follow(caller(), request.build_id, platform):
            yield _response(answer)

    async def report_health(
        self, request: AsyncIterator[pb.ReportHealthRequest], ctx: RequestContext[Any, Any], /
    ) -> pb.ReportHealthResponse:
        """Take each message of the stream as a sign of life."""
        reported = False
        async for message in request:
            await self._endpoints.report_health(caller(), message.build_id, decode_platform(message.platform))
            reported = True
        if not reported:
            raise InvalidInput("the stream ended without a message; send one with build_id and platform now and again")
        return pb.ReportHealthResponse()

    async def release_endpoint(
        self, request: pb.ReleaseEndpointRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ReleaseEndpointResponse:
        """Give the endpoint back."""
        await self._endpoints.release(caller(), request.build_id, decode_platform(request.platform))
        return pb.ReleaseEndpointResponse()


def _response(answer: Pending | Endpoint) -> pb.GetEndpointResponse:
    if not isinstance(answer, Endpoint):
        return pb.GetEndpointResponse(
            connection=Oneof(field="pending", value=pb.GetEndpointResponse.PendingConnection())
        )
    active = pb.GetEndpointResponse.ActiveConnection(
        endpoint=answer.address,
        server_name=answer.server_name,
        cert=pb.CertificatePair(
            cert=pb.PublicCertificate(cert=answer.certificate), key=pb.PrivateKey(key=answer.private_key)
        ),
        ca_cert=pb.PublicCertificate(cert=answer.ca_certificate),
    )
    return pb.GetEndpointResponse(connection=Oneof(field="active", value=active))
