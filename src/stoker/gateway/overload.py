"""What the gateway does before it exceeds its memory or connections."""

from __future__ import annotations

from typing import Any

_TYPE = "type.googleapis.com/envoy."
_HEAP = "envoy.resource_monitors.fixed_heap"
_CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"
_MONITORS = _TYPE + "extensions.resource_monitors."
# Streams that hold less than 128 KiB are never ended because of memory.
_SMALLEST_STREAM_POWER_OF_TWO = 17


def overload_manager(max_memory_bytes: int, max_connections: int) -> dict[str, Any]:
    """Envoy's overload manager.

    As memory fills up, it first returns free memory to the kernel and closes idle connections sooner, then ends the
    streams that hold most memory, and at last refuses new calls and connections.
    """
    return {
        "refresh_interval": "0.1s",
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": _SMALLEST_STREAM_POWER_OF_TWO},
        "resource_monitors": [
            {
                "name": _HEAP,
                "typed_config": {
                    "@type": _MONITORS + "fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": max_memory_bytes,
                },
            },
            {
                "name": _CONNECTIONS,
                "typed_config": {
                    "@type": _MONITORS + "downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": max_connections,
                },
            },
        ],
        "actions": [
            _action("envoy.overload_actions.shrink_heap", {"threshold": {"value": 0.6}}),
            _action("envoy.overload_actions.reduce_timeouts", _scaled(0.7, 0.9)) | {"typed_config": _timeouts()},
            # Far below what refuses everybody's calls: streams may fill much memory until it is measured again.
            _action("envoy.overload_actions.reset_high_memory_stream", _scaled(0.6, 0.85)),
            _action("envoy.overload_actions.stop_accepting_requests", {"threshold": {"value": 0.97}}),
            _action("envoy.overload_actions.stop_accepting_connections", {"threshold": {"value": 0.98}}),
        ],
    }


def _action(name: str, trigger: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "triggers": [{"name": _HEAP, **trigger}]}


def _scaled(begins: float, full: float) -> dict[str, Any]:
    return {"scaled": {"scaling_threshold": begins, "saturation_threshold": full}}


def _timeouts() -> dict[str, Any]:
    return {
        "@type": _TYPE + "config.overload.v3.ScaleTimersOverloadActionConfig",
        "timer_scale_factors": [
            {"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": "2s"},
            {"timer": "TRANSPORT_SOCKET_CONNECT", "min_timeout": "3s"},
        ],
    }
