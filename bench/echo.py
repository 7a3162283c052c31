"""A bare echo: pyvoy with our Envoy configuration and connectrpc, as the API has them, and nothing of ours in between.

It answers `grpc.health.v1.Health/Check`, the smallest method whose code is generated here, without a look at anything.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectrpc.request import RequestContext

from stoker._gen.grpc.health.v1 import health_connect
from stoker._gen.grpc.health.v1 import health_pb as pb
from stoker.serve.api_part import api_command, api_configuration, api_environment, edge_limits
from stoker.serve.ports import HeldPorts
from stoker.settings.addresses import HostPort
from stoker.settings.effective import Settings
from tests.harness.waiting import eventually

METHOD = "grpc.health.v1.Health/Check"
_Event = MutableMapping[str, Any]


class _Echo(health_connect.Health):
    async def check(self, request: pb.HealthCheckRequest, ctx: RequestContext[Any, Any], /) -> pb.HealthCheckResponse:
        return pb.HealthCheckResponse(status=pb.HealthCheckResponse.ServingStatus.SERVING)


_connect: Any = health_connect.HealthASGIApplication(_Echo())


async def application(
    scope: _Event, receive: Callable[[], Awaitable[_Event]], send: Callable[[_Event], Awaitable[None]]
) -> None:
    """The ASGI application, which pyvoy serves."""
    if scope["type"] != "lifespan":
        await _connect(scope, receive, send)
        return
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def running_echo(folder: Path) -> Generator[str]:
    """Serve the echo; its URL."""
    with HeldPorts() as ports:
        (address,) = ports.hold([("listen", HostPort("127.0.0.1", 0))])
        configuration = folder / "echo-envoy.json"
        configuration.write_text(api_configuration(address, None, edge_limits(Settings()), "bench.echo:application"))
        with (folder / "echo.log").open("wb") as log:
            process = subprocess.Popen(
                api_command(configuration), env=api_environment(folder / "no-plan"), stdout=log, stderr=log
            )
        try:
            eventually(lambda: _accepts(address), "the echo is ready")
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(10)


def _accepts(address: HostPort) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address.host, address.port)) == 0
