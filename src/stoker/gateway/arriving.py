"""Bounds the memory of requests that have not arrived in full.

A `Solve` is authorized by its message, so the gateway buffers the message. A client that never completes it occupies
the buffer until the request times out. A Lua filter counts these bytes for each build.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from stoker.gateway.calls import SOLVE_PATH

_LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
# A stream ends somewhat after its timeout.
_MARGIN_SECONDS = 15


def arriving_filter(identity_header: str, max_bytes: int, request_seconds: float) -> dict[str, Any]:
    """The filter.

    Args:
        identity_header: the header with the caller's identity.
        max_bytes: bytes of one build that each of Envoy's threads may buffer.
        request_seconds: how long a request may take to arrive.
    """
    names = {
        "IDENTITY_HEADER": identity_header,
        "LONGEST_SECONDS": str(round(request_seconds + _MARGIN_SECONDS)),
        "MOST_BYTES": str(max_bytes),
        "SOLVE": SOLVE_PATH,
    }
    script = files("stoker.gateway").joinpath("arriving.lua").read_text(encoding="utf-8")
    for name, value in names.items():
        script = script.replace(f"${name}", value)
    return {"name": "arriving", "typed_config": {"@type": _LUA, "default_source_code": {"inline_string": script}}}
