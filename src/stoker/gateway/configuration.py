"""Envoy's configuration for the gateway: static, written once at the start.

Every call is put to the authorizer (`ext_authz`), whose answer names the machine's address and the name that the
machine must prove. Envoy documents the pieces under `config.listener`, `http_filters.ext_authz` and
`upstreams.http`; the fields used here were checked against Envoy 1.39.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stoker.gateway.arriving import arriving_filter
from stoker.gateway.asking import (
    ASKING_CLUSTER,
    asking_clusters,
    asking_listener,
    internal_listeners,
    no_circuit_breakers,
)
from stoker.gateway.failures import AUTHORIZATION, REF_HEADER, failures_filter
from stoker.gateway.overload import overload_manager
from stoker.gateway.rates import rates_filter
from stoker.gateway.solve_connections import solves_log

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.pki.certificates import PairFiles

IDENTITY_HEADER = "x-stoker-identity"
REQUESTED_HEADER = "x-stoker-requested-name"
DESTINATION_HEADER = "x-envoy-original-dst-host"
MACHINE_HEADER = "x-stoker-machine"
SOLVE_HEADER = "buildkit-controlapi-buildid"
TRACE_HEADERS = ("traceparent", "tracestate")
AUTHORIZER_PREFIX = "/authorize"

_TYPE = "type.googleapis.com/envoy."
_HCM = _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_EXT_AUTHZ = _TYPE + "extensions.filters.http.ext_authz.v3."
_HEADER_MUTATION = _TYPE + "extensions.filters.http.header_mutation.v3.HeaderMutation"
_ROUTER = _TYPE + "extensions.filters.http.router.v3.Router"
_TLS = _TYPE + "extensions.transport_sockets.tls.v3."
_UPSTREAM_HTTP = _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions"

_SOLVE = "/moby.buildkit.v1.Control/Solve"
_MACHINES, _SOLVES = "machines", "solves"
_ASKED_WITH = (IDENTITY_HEADER, REQUESTED_HEADER, SOLVE_HEADER, *TRACE_HEADERS)
_STREAM_WINDOW = 16 * 1024 * 1024
_CONNECTION_WINDOW = 32 * 1024 * 1024
_SMALL_BODY = 64 * 1024
# Envoy's most for a field. A larger one would break the whole connection, which builds share; told so by this setting
# of HTTP/2 (RFC 9113, 6.5.2), BuildKit breaks off the one call.
_MOST_HEADERS_KB, _LARGEST_HEADER_KB = 8192, 256
_MAX_HEADER_LIST_SIZE, _HEADERS_BYTES = 6, 256 * 1024


@dataclass(frozen=True, slots=True)
class GatewayBounds:
    """Limits of the gateway.

    Attributes:
        solve_bytes: the largest Solve request.
        unfinished_bytes: bytes of incomplete requests of one build that each thread may buffer.
        request_seconds: how long a request may take to arrive.
        calls_per_second: calls of one build, for long.
        calls_burst: calls of one build at once, beyond that rate.
        streams: calls under way on one connection.
        connections: connections in all.
        idle_seconds: how long a connection without calls is kept.
        memory_bytes: memory in all.
    """

    solve_bytes: int
    unfinished_bytes: int
    request_seconds: float
    calls_per_second: float
    calls_burst: int
    streams: int
    connections: int
    idle_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The inputs of the configuration."""

    host: str
    port: int
    server: PairFiles
    builds_ca: Path
    control_client: PairFiles
    machines_ca: Path
    authorizer_socket: Path
    authorizer_wait_seconds: float
    solves_log: Path
    bounds: GatewayBounds


def gateway_configuration(settings: GatewaySettings) -> str:
    """The whole configuration, as JSON."""
    return json.dumps(
        {
            "static_resources": {
                "listeners": [_listener(settings), asking_listener(settings.bounds.solve_bytes)],
                "clusters": [
                    *asking_clusters(settings.authorizer_socket),
                    _machines(_MACHINES, settings),
                    # Each client has connections of its own for solves, which can be cut; see `solve_connections`.
                    {**_machines(_SOLVES, settings), "connection_pool_per_downstream_connection": True},
                ],
            },
            "bootstrap_extensions": [internal_listeners()],
            "overload_manager": overload_manager(settings.bounds.memory_bytes, settings.bounds.connections),
        },
        indent=1,
    )


def _listener(settings: GatewaySettings) -> dict[str, Any]:
    return {
        "name": "gateway",
        "address": {"socket_address": {"address": settings.host, "port_value": settings.port}},
        "enable_reuse_port": False,
        # Without it the filters don't know the server name that the client requested.
        "listener_filters": [
            {
                "name": "tls_inspector",
                "typed_config": {"@type": _TYPE + "extensions.filters.listener.tls_inspector.v3.TlsInspector"},
            }
        ],
        "filter_chains": [
            {
                "transport_socket_connect_timeout": "15s",
                "transport_socket": {
                    "name": "tls",
                    "typed_config": {
                        "@type": _TLS + "DownstreamTlsContext",
                        "require_client_certificate": True,
                        "common_tls_context": {
                            "alpn_protocols": ["h2"],
                            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                            "tls_certificates": [_pair(settings.server)],
                            "validation_context": {"trusted_ca": {"filename": str(settings.builds_ca)}},
                        },
                    },
                },
                "filters": [{"name": "http", "typed_config": _http(settings)}],
            }
        ],
    }


def _http(settings: GatewaySettings) -> dict[str, Any]:
    return {
        "@type": _HCM,
        "stat_prefix": "gateway",
        "codec_type": "HTTP2",
        "stream_idle_timeout": "0s",
        "request_headers_timeout": "30s",
        # Until the request has arrived or its answer begins, as that of a session does at once.
        "request_timeout": f"{settings.bounds.request_seconds}s",
        "common_http_protocol_options": {"idle_timeout": f"{settings.bounds.idle_seconds}s"},
        "generate_request_id": False,
        "use_remote_address": True,
        "http2_protocol_options": {
            "initial_stream_window_size": _STREAM_WINDOW,
            "initial_connection_window_size": _CONNECTION_WINDOW,
            "max_concurrent_streams": settings.bounds.streams,
            "connection_keepalive": {"interval": "30s", "timeout": "30s"},
        },
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        _route(_SOLVE, settings.bounds.solve_bytes, _SOLVES),
                        _route("/moby.buildkit.v1.Control/Status", _SMALL_BODY),
                        _route("/moby.buildkit.v1.Control/ListenBuildHistory", _SMALL_BODY),
                        _route("/containerd.services.content.v1.Content/Info", _SMALL_BODY),
                        _route("/containerd.services.content.v1.Content/Read", _SMALL_BODY),
                        {"match": {"prefix": "/"}, "route": {"cluster": _MACHINES, "timeout": "0s"}},
                    ],
                }
            ]
        },
        "http_filters": [
            {
                "name": "identity",
                "typed_config": {
                    "@type": _HEADER_MUTATION,
                    "mutations": {
                        "request_mutations": [
                            {"remove": DESTINATION_HEADER},
                            {"remove": MACHINE_HEADER},
                            _overwritten(IDENTITY_HEADER, "%DOWNSTREAM_PEER_URI_SAN%"),
                            _overwritten(REQUESTED_HEADER, "%REQUESTED_SERVER_NAME%"),
                        ]
                    },
                },
            },
            rates_filter(IDENTITY_HEADER, settings.bounds.calls_per_second, settings.bounds.calls_burst),
            arriving_filter(IDENTITY_HEADER, settings.bounds.unfinished_bytes, settings.bounds.request_seconds),
            failures_filter(settings.authorizer_wait_seconds),
            {"name": AUTHORIZATION, "typed_config": _ext_authz(settings)},
            {
                "name": "router",
                "typed_config": {"@type": _ROUTER, **solves_log(settings.solves_log, _SOLVE, IDENTITY_HEADER)},
            },
        ],
    }


def _overwritten(name: str, value: str) -> dict[str, Any]:
    """Set a header, and replace what the client sent under its name."""
    header = {"key": name, "value": value}
    return {"append": {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": header}}


def _route(path: str, max_body: int, cluster: str = _MACHINES) -> dict[str, Any]:
    return {
        "match": {"path": path},
        "route": {"cluster": cluster, "timeout": "0s"},
        "typed_per_filter_config": {
            AUTHORIZATION: {
                "@type": _EXT_AUTHZ + "ExtAuthzPerRoute",
                "check_settings": {
                    "with_request_body": {
                        "max_request_bytes": max_body,
                        "allow_partial_message": False,
                        "pack_as_bytes": True,
                    }
                },
            }
        },
    }


def _ext_authz(settings: GatewaySettings) -> dict[str, Any]:
    return {
        "@type": _EXT_AUTHZ + "ExtAuthz",
        "failure_mode_allow": False,
        "status_on_error": {"code": "ServiceUnavailable"},
        "allowed_headers": {"patterns": [{"exact": name} for name in _ASKED_WITH]},
        "http_service": {
            "server_uri": {
                "uri": "http://authorizer",
                "cluster": ASKING_CLUSTER,
                "timeout": f"{settings.authorizer_wait_seconds}s",
            },
            "path_prefix": AUTHORIZER_PREFIX,
            "authorization_response": {
                "allowed_upstream_headers": {"patterns": [{"exact": DESTINATION_HEADER}, {"exact": MACHINE_HEADER}]},
                "dynamic_metadata_from_headers": {"patterns": [{"exact": REF_HEADER}]},
            },
        },
    }


def _machines(name: str, settings: GatewaySettings) -> dict[str, Any]:
    return {
        "name": name,
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "5s",
        "original_dst_lb_config": {"use_http_header": True},
        "circuit_breakers": no_circuit_breakers(),
        "upstream_connection_options": {"tcp_keepalive": {"keepalive_time": 60}},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _UPSTREAM_HTTP,
                "upstream_http_protocol_options": {
                    "auto_sni": True,
                    "auto_san_validation": True,
                    "override_auto_sni_header": MACHINE_HEADER,
                },
                # Failures quote the whole Dockerfile in a header field; see `failures`.
                "common_http_protocol_options": {"max_response_headers_kb": _MOST_HEADERS_KB},
                "explicit_http_config": {
                    "http2_protocol_options": {
                        "max_header_field_size_kb": _LARGEST_HEADER_KB,
                        "custom_settings_parameters": [{"identifier": _MAX_HEADER_LIST_SIZE, "value": _HEADERS_BYTES}],
                        "initial_stream_window_size": _STREAM_WINDOW,
                        "initial_connection_window_size": _CONNECTION_WINDOW,
                    }
                },
            }
        },
        "transport_socket": {
            "name": "tls",
            "typed_config": {
                "@type": _TLS + "UpstreamTlsContext",
                "common_tls_context": {
                    "alpn_protocols": ["h2"],
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                    "tls_certificates": [_pair(settings.control_client)],
                    "validation_context": {"trusted_ca": {"filename": str(settings.machines_ca)}},
                },
            },
        },
    }


def _pair(files: PairFiles) -> dict[str, Any]:
    return {
        "certificate_chain": {"filename": str(files.certificate)},
        "private_key": {"filename": str(files.key)},
    }
