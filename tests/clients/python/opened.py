"""Both clients of depot-client, opened at the server of the environment, for scripts that take `sync` or `async`."""

from __future__ import annotations

import inspect
import os
import sys
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from depot_client import AsyncClient, Client

URL = urlsplit(os.environ["DEPOT_API_URL"])
TOKEN = os.environ["DEPOT_TOKEN"]
PROJECT = os.environ["DEPOT_PROJECT_ID"]


@asynccontextmanager
async def opened():
    if sys.argv[1] == "async":
        async with AsyncClient(URL.hostname, URL.port, TOKEN) as client:
            yield client
    else:
        with Client(URL.hostname, URL.port, TOKEN) as client:
            yield client


async def done(call):
    """What a call of either client returns."""
    return await call if inspect.isawaitable(call) else call
