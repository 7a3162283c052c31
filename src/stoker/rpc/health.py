"""gRPC's health checking protocol (https://grpc.io/docs/guides/health-checking/)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stoker._gen.grpc.health.v1 import health_pb as pb
from stoker._gen.grpc.health.v1.health_connect import Health
from stoker.domain.errors import NotFound
from stoker.services.wakeups import READINESS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.services.readiness import ReadinessService
    from stoker.services.wakeups import Wakeups

_Status = pb.HealthCheckResponse.ServingStatus


class HealthHandlers(Health):
    """All services serve while the server is ready; services that aren't built in are unknown."""

    def __init__(self, services: frozenset[str], readiness: ReadinessService, wakeups: Wakeups) -> None:
        self._services = services | {""}
        self._readiness = readiness
        self._wakeups = wakeups

    async def check(self, request: pb.HealthCheckRequest, ctx: RequestContext[Any, Any], /) -> pb.HealthCheckResponse:
        """Say whether a service serves."""
        if request.service not in self._services:
            raise NotFound(f"there is no service {request.service[:80]!r} here")
        return pb.HealthCheckResponse(status=await self._status())

    async def watch(
        self, request: pb.HealthCheckRequest, ctx: RequestContext[Any, Any], /
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """Send the state whenever it changes, until the caller closes the stream or the server stops."""
        if request.service not in self._services:
            yield pb.HealthCheckResponse(status=_Status.SERVICE_UNKNOWN)
            await asyncio.Event().wait()
        with self._wakeups.subscribe(READINESS) as subscription:
            said: _Status | None = None
            while True:
                status = await self._status()
                if status != said:
                    yield pb.HealthCheckResponse(status=status)
                said = status
                await subscription.wait(None)

    async def _status(self) -> _Status:
        return _Status.SERVING if await self._readiness.is_ready() else _Status.NOT_SERVING
