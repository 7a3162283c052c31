"""How the API is reached."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from connectrpc.errors import ConnectError
from pyqwest import Client, HTTPTransport, HTTPVersion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Answer = TypeVar("Answer")
Wanted = TypeVar("Wanted")


def checked_url(text: str) -> str:
    """The address of an API in the one spelling under which we keep it.

    Raises:
        ValueError: it isn't one.
    """
    parts = urlsplit(text.strip())
    if "@" in parts.netloc:
        raise ValueError("there is a user name in it; leave that out")
    is_whole = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    if not is_whole or parts.query or parts.fragment:
        raise ValueError(f'"{text}" is not an address, such as https://stoker.example.com')
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def open_transport(url: str) -> Client:
    """Connections to the API at ``url``; certificates are checked against the system's store, or SSL_CERT_FILE."""
    version = HTTPVersion.HTTP2 if url.startswith("http://") else None
    return Client(HTTPTransport(http_version=version, tls_include_system_certs=True, enable_otel=False))


async def first_answer(answers: AsyncIterator[Answer], wanted: Callable[[Answer], Wanted | None]) -> Wanted | None:
    """What is wanted of a stream, from the first answer that has it; None if the stream ends without one.

    The stream is closed before this returns. One that is left open ends when the event loop does, which prints a
    traceback.
    """
    try:
        async for answer in answers:
            found = wanted(answer)
            if found is not None:
                return found
        return None
    finally:
        close = getattr(answers, "aclose", None)
        if close is not None:
            # connectrpc 0.13 says of a stream that is closed that its call failed.
            with suppress(ConnectError):
                await close()
