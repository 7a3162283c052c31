"""gRPC's health checking protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stoker._gen.grpc.health.v1 import health_pb as pb
from stoker._gen.grpc.health.v1.health_connect import Health
from stoker.domain.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from connectrpc.request import RequestContext

_Status = pb.HealthCheckResponse.ServingStatus


class HealthHandlers(Health):
    """A server that answers serves; services that aren't built in are unknown."""

    def __init__(self, services: frozenset[str]) -> None:
        self._services = services | {""}

    async def check(self, request: pb.HealthCheckRequest, ctx: RequestContext[Any, Any], /) -> pb.HealthCheckResponse:
        """Say that a service serves."""
        if request.service not in self._services:
            raise NotFound(f"there is no service {request.service[:80]!r} here")
        return pb.HealthCheckResponse(status=_Status.SERVING)

    async def watch(
        self, request: pb.HealthCheckRequest, ctx: RequestContext[Any, Any], /
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """Send the state, and keep the stream open until the caller closes it or the server stops."""
        known = request.service in self._services
        yield pb.HealthCheckResponse(status=_Status.SERVING if known else _Status.SERVICE_UNKNOWN)
        await asyncio.Event().wait()
