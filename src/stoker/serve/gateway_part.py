"""The configuration of the gateway's process, from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.gateway.configuration import GatewayBounds, GatewaySettings, gateway_configuration
from stoker.pki.certificates import Certificates
from stoker.plan import control_socket, solves_log_file
from stoker.serve.envoy_options import connections_within, with_log_format
from stoker.system import SystemClock

if TYPE_CHECKING:
    from stoker.settings.addresses import HostPort
    from stoker.settings.effective import Settings


def gateway_configuration_at(address: HostPort, settings: Settings) -> str:
    """Envoy's configuration for a gateway that listens on ``address``. Renews its certificates if needed."""
    certificates = Certificates(settings.server.data / "pki", SystemClock())
    names = tuple(dict.fromkeys(name for name in (settings.server.gateway_name, address.host) if name))
    configuration = gateway_configuration(
        GatewaySettings(
            host=address.host,
            port=address.port,
            server=certificates.gateway(names),
            builds_ca=certificates.builds_ca_file,
            control_client=certificates.internal_client(),
            machines_ca=certificates.machines_ca_file,
            authorizer_socket=control_socket(settings),
            authorizer_wait_seconds=settings.gateway.gateway_wait_seconds,
            solves_log=solves_log_file(settings),
            bounds=_bounds(settings),
        )
    )
    return with_log_format(configuration, settings.observing.log_format)


def gateway_certificate_stamp(settings: Settings) -> int | None:
    """When the gateway's certificate was written: Envoy reads it when it starts."""
    try:
        return (settings.server.data / "pki" / "gateway.pem").stat().st_mtime_ns
    except OSError:
        return None


def _bounds(settings: Settings) -> GatewayBounds:
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
