"""Fetches an issuer's published documents over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from pyqwest import Client, HTTPTransport, ReadError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_BYTES = 256 * 1024


class DocumentUnavailable(Exception):
    """A document can't be fetched or is wrong; the text says why, for the log."""


class IssuerDocuments:
    """Fetches JSON objects from a URL, within a time and a size. Follows no redirects."""

    def __init__(self, timeout: float) -> None:
        """Prepare to fetch.

        Args:
            timeout: seconds for a whole document.
        """
        self._timeout = timeout
        # A redirect would let whoever controls one page of the issuer's host choose the keys.
        self._transport = HTTPTransport(
            tls_include_system_certs=True,
            connect_timeout=timeout,
            follow_redirects=False,
            pool_idle_timeout=10,
            enable_otel=False,
        )
        self._client = Client(self._transport)

    async def fetch(self, url: str) -> Mapping[str, Any]:
        """The JSON object at ``url``.

        Raises:
            DocumentUnavailable: it can't be fetched.
        """
        try:
            async with asyncio.timeout(self._timeout):
                content = await self._read(url)
            document: object = json.loads(content)
        except (TimeoutError, OSError, ReadError, RemoteProtocolError) as error:
            raise DocumentUnavailable(f"{url}: {str(error) or type(error).__name__}") from error
        except (ValueError, RecursionError) as error:
            raise DocumentUnavailable(f"{url} can't be read as JSON: {error}") from error
        if not isinstance(document, dict):
            raise DocumentUnavailable(f"{url} is not a JSON object")
        return document  # pyright: ignore[reportUnknownVariableType]

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def _read(self, url: str) -> bytes:
        async with self._client.stream("GET", url, headers={"accept": "application/json"}) as response:
            if response.status != 200:
                raise DocumentUnavailable(f"{url} answered with status {response.status}")
            content = bytearray()
            async for chunk in response.content:
                content += chunk
                if len(content) > _MAX_BYTES:
                    raise DocumentUnavailable(f"{url} is larger than {_MAX_BYTES} bytes")
        return bytes(content)
