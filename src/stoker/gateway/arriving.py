"""Bounds what the gateway keeps of requests that have not arrived in full.

A `Solve` is judged by its message, so the gateway keeps that until it ends. A client that never ends one has it kept
until the time for requests is over. A filter in Lua counts these bytes for each build.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from stoker.gateway.calls import SOLVE_PATH

_LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
# A stream ends some time after its time is over.
_MARGIN_SECONDS = 15


def arriving_filter(identity_header: str, max_bytes: int, request_seconds: float) -> dict[str, Any]:
    """The filter.

    Args:
        identity_header: where the caller's identity is.
        max_bytes: how much is kept of one build by each of Envoy's threads.
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
