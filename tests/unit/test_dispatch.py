"""Requests that wait are kept, whatever they wait for."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

from stoker.domain.rates import Bound
from stoker.rpc.dispatch import Dispatch, RequestLimits, Route
from stoker.system import SystemRandomness

PATH = "/some.Service/Watch"
LIMITS = RequestLimits(30.0, Bound(1024, 1024), Bound(10, 10), 1024)
SCOPE = {"type": "http", "method": "POST", "path": PATH, "http_version": "2", "headers": []}


async def test_a_call_that_waits_for_what_nobody_else_knows_is_not_collected() -> None:
    begun = asyncio.Event()

    async def waits(_scope: Any, _receive: Any, _send: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def nothing(*_: Any) -> Any:
        return {"type": "http.disconnect"}

    dispatch = Dispatch({PATH: Route(waits, streams_requests=True)}, None, LIMITS, SystemRandomness())
    call = weakref.ref(asyncio.create_task(dispatch(dict(SCOPE), nothing, nothing)))
    await begun.wait()

    gc.collect()

    kept = call()
    assert kept is not None, "its task is gone"
    kept.cancel()
