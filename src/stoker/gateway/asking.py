"""How Envoy asks the authorizer: through a listener inside Envoy that asks again while the API restarts.

`ext_authz` has a retry policy of its own, but Envoy takes that policy's longest pause for the time that each try may
take (`convertCoreToRouteRetryPolicy` in its source): a question that takes longer than the pause is given up and asked
again, at a server that is slow already. The retry policy of a route keeps the two apart, so questions go through one.
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
# A question's headers, beside the message of the call that it is about.
_HEADERS = 64 * 1024


def internal_listeners() -> dict[str, Any]:
    """The extension of Envoy that listeners inside it need."""
    extension = _TYPE + "extensions.bootstrap.internal_listener.v3.InternalListener"
    return {"name": "envoy.bootstrap.internal_listener", "typed_config": {"@type": extension}}


def asking_listener(max_body_bytes: int) -> dict[str, Any]:
    """Passes questions on, and asks again while the API's socket refuses connections or its process dies.

    Whoever asks sets the time for it all. A question that is only slow is waited for.

    Args:
        max_body_bytes: the largest message of a call that is passed along: what is asked again has to be kept.
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
    """The listener inside Envoy, and the API's socket behind it."""
    inside = {"envoy_internal_address": {"server_listener_name": _LISTENER}}
    return [_cluster(ASKING_CLUSTER, inside), _cluster(AUTHORIZER_CLUSTER, {"pipe": {"path": str(socket)}})]


def no_circuit_breakers() -> dict[str, Any]:
    """Envoy's defaults (three retries at once, 1024 requests) would refuse calls that may well wait."""
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
