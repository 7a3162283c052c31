"""Cancellation of calls, which the RPC library takes for an error of the call."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from connectrpc.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def cancellable() -> Generator[None]:
    """Let a block that makes calls be canceled.

    connectrpc 0.13 raises `ConnectError` for `CancelledError`, so a loop that retries after errors would never end.
    """
    try:
        yield
    except ConnectError as error:
        if isinstance(error.__cause__, asyncio.CancelledError):
            raise asyncio.CancelledError from error
        raise
