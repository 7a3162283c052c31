"""How Envoy asks the authorizer: through a listener inside Envoy that retries while the API restarts.

`ext_authz` has its own retry policy, but Envoy takes that policy's longest pause as the timeout of each try
(`convertCoreToRouteRetryPolicy` in its source): a question that takes longer than the pause is dropped and repeated, at
a server that is slow already. A route's retry policy doesn't mix the two, so questions go through a route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ASKING_CLUSTER = "asking"
AUTHORIZER_CLUSTER = "authorizer"

_LISTENER = "asking"
_TYPE = "type.googleapis.com/envoy."
_UNBOUNDED = 1_000_000
# Room for a question's headers, besides the message of the call.
_HEADERS = 64 * 1024


def internal_listeners() -> dict[str, Any]:
    """The Envoy extension that internal listeners need."""
    extension = _TYPE + "extensions.bootstrap.internal_listener.v3.InternalListener"
    return {"name": "envoy.bootstrap.internal_listener", "typed_config": {"@type": extension}}


def asking_listener(max_body_bytes: int) -> dict[str, Any]:
    """Forwards questions, and retries while the API's socket refuses connections or its process dies.

    The caller sets the timeout of the whole. A slow answer is waited for.

    Args:
        max_body_bytes: the largest message of a call, which has to be buffered for retries.
    """
    route = {
        "match": {"prefix": "/"},
        "request_body_buffer_limit": max_body_bytes + _HEADERS,
        "route": {
            "cluster": AUTHORIZER_CLUSTER,
            "timeout": "0s",
            "retry_policy": {
                "retry_on": "connect-failure,reset",
                "num_retries": _UNBOUNDED,
                "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.2s"},
            },
        },
    }
    manager = {
        "@type": _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "asking",
        "stream_idle_timeout": "0s",
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": _TYPE + "extensions.filters.http.router.v3.Router"}}
        ],
    }
    return {
        "name": _LISTENER,
        "internal_listener": {},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def asking_clusters(socket: Path) -> list[dict[str, Any]]:
    """The internal listener, and the API's socket behind it."""
    inside = {"envoy_internal_address": {"server_listener_name": _LISTENER}}
    return [_cluster(ASKING_CLUSTER, inside), _cluster(AUTHORIZER_CLUSTER, {"pipe": {"path": str(socket)}})]


def no_circuit_breakers() -> dict[str, Any]:
    """Envoy's defaults (three retries at once, 1024 requests) would refuse calls that can wait."""
    threshold = {
        "priority": "DEFAULT",
        "max_connections": _UNBOUNDED,
        "max_pending_requests": _UNBOUNDED,
        "max_requests": _UNBOUNDED,
        "max_retries": _UNBOUNDED,
    }
    return {"thresholds": [threshold]}


def _cluster(name: str, address: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": no_circuit_breakers(),
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
