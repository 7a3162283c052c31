"""What the gateway's process is told and given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.gateway.configuration import GatewayBounds
from stoker.serve.envoy_options import connections_within

if TYPE_CHECKING:
    from stoker.settings.effective import Settings


def gateway_bounds(settings: Settings) -> GatewayBounds:
    """How much the gateway takes."""
    return GatewayBounds(
        solve_bytes=settings.gateway.max_solve_bytes,
        unfinished_bytes=settings.gateway.max_unfinished_bytes_per_build,
        request_seconds=max(settings.gateway.gateway_request_seconds, settings.gateway.gateway_wait_seconds + 1),
        calls_per_second=settings.gateway.gateway_calls_per_second,
        calls_burst=settings.gateway.gateway_calls_burst,
        streams=settings.gateway.max_gateway_streams,
        # Each may have one of its own to a machine.
        connections=connections_within(settings.gateway.max_gateway_connections, files_each=2),
        idle_seconds=settings.gateway.gateway_idle_seconds,
        memory_bytes=settings.gateway.max_gateway_memory_bytes,
    )
