"""How Envoy logs."""

from __future__ import annotations

import json

# The same names as in our own lines; `%j` is the message, escaped (Envoy's documentation of --log-format).
_LINE = {"time": "%Y-%m-%dT%H:%M:%S.%e", "level": "%l", "logger": "envoy.%n", "message": "%j"}


def with_json_log(configuration: str) -> str:
    """A configuration of Envoy with which it logs JSON lines."""
    content = json.loads(configuration)
    content["application_log_config"] = {"log_format": {"json_format": _LINE}}
    return json.dumps(content, indent=1)
