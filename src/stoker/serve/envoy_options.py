"""What an Envoy is started with: how it logs, and how many connections it takes."""

from __future__ import annotations

import json
import resource

# The same names as in our own lines; `%j` is the message, escaped (Envoy's documentation of --log-format).
_LINE = {"time": "%Y-%m-%dT%H:%M:%S.%e", "level": "%l", "logger": "envoy.%n", "message": "%j"}

# Databases, logs, listeners, event loops, calls to machines.
_OF_ITS_OWN = 128


def with_log_format(configuration: str, log_format: str) -> str:
    """A configuration of Envoy with which it logs in that format: ``text``, its own, or ``json``."""
    if log_format != "json":
        return configuration
    content = json.loads(configuration)
    content["application_log_config"] = {"log_format": {"json_format": _LINE}}
    return json.dumps(content, indent=1)


def connections_within(wanted: int, files_each: int) -> int:
    """How many connections to take, ``wanted`` at most. Further ones are refused, so that none waits without an answer.

    Envoy accepts no connection while it has no file descriptor left. To a client that looks like a slow server.

    Args:
        wanted: the setting.
        files_each: what a connection may take: one, or two where it is passed on.
    """
    # Envoy raises the soft limit to the hard one.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (most - _OF_ITS_OWN) // files_each))
