"""The suite's service behind everything that a call of ours passes: pyvoy runs it as it runs `stoker.app`."""

from __future__ import annotations

import os

from conformance_protos.connectrpc.conformance.v1 import service_pb
from conformance_protos.connectrpc.conformance.v1.service_connect import (
    ConformanceService,
    ConformanceServiceASGIApplication,
)
from protobuf import Registry

from stoker.assembly import call_limits, request_limits
from stoker.rpc.application import service_routes
from stoker.rpc.codecs import api_codecs
from stoker.rpc.dispatch import Dispatch
from stoker.rpc.interceptors import ErrorInterceptor
from stoker.rpc.limits import LimitsInterceptor
from stoker.settings.effective import Settings
from stoker.system import SystemClock, SystemRandomness
from tests.conformance.limit import MAX_MESSAGE_BYTES
from tests.conformance.service import Conformance

_clock = SystemClock()
_routes = service_routes(
    ConformanceServiceASGIApplication,
    Conformance(),
    ConformanceService.desc(),
    (ErrorInterceptor(SystemRandomness()), LimitsInterceptor(call_limits(Settings()), _clock.monotonic)),
    api_codecs(Registry(service_pb.desc())),
    int(os.environ[MAX_MESSAGE_BYTES]),
)
_dispatch = Dispatch(_routes, None, request_limits(Settings()), SystemRandomness())


async def application(scope, receive, send) -> None:
    """Answer the lifespan as our own application does, and hand requests on."""
    if scope["type"] != "lifespan":
        await _dispatch(scope, receive, send)
        return
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
