"""Listeners of the API process besides Envoy's: the control socket and the metrics."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.settings.addresses import HostPort


async def serve(application: Any, listener: socket.socket) -> None:  # noqa: ANN401
    """Answer requests at a listener with an ASGI application, until cancelled."""
    config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="off", interface="asgi3")
    await uvicorn.Server(config).serve(sockets=[listener])


async def serve_at(application: Any, address: HostPort) -> None:  # noqa: ANN401
    """Listen at an address, and answer requests there until cancelled."""
    with _bind(address) as listener:
        await serve(application, listener)


def bind_privately(path: Path) -> socket.socket:
    """A listening Unix socket at ``path``, which replaces the one of a process that died."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(temporary))
    temporary.chmod(0o600)
    listener.listen(1024)
    temporary.replace(path)
    return listener


def _bind(address: HostPort) -> socket.socket:
    listener = socket.socket(address.family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address.host, address.port))
    listener.listen(128)
    return listener
