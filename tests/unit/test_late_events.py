"""Events for calls that were answered meanwhile are no errors; what else goes wrong in the event loop is logged."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import asyncio, uvloop
from stoker.logs import configure_logging

async def main():
    configure_logging("text")
    loop = asyncio.get_running_loop()
    receiving = loop.create_future()
    receiving.cancel()
    loop.call_soon(receiving.set_result, None)
    loop.call_soon(int, "no number")
    await asyncio.sleep(0)

uvloop.run(main())
"""


def test_an_event_that_comes_too_late_is_no_error() -> None:
    said = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True).stderr
    assert "InvalidStateError" not in said
    assert "no number" in said, "other errors are logged"
