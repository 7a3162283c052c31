"""Who doesn't read its answer loses it after a while."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stoker.domain.rates import Bound
from stoker.rpc.request_events import RequestEvents
from stoker.rpc.unfinished_bytes import UnfinishedBytes


@pytest.mark.parametrize("size", [0, 3 * 1024 * 1024])
async def test_an_answer_that_nobody_reads_is_given_up(size: int) -> None:
    ended = asyncio.Event()

    async def never(_event: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    unfinished = UnfinishedBytes(Bound(1, 1))
    request = RequestEvents(receive, never, 0.05, unfinished, lambda: None, streams=False, may_end_early=True)
    with pytest.raises(OSError, match="doesn't read"):
        await request.send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
    assert ended.is_set()
