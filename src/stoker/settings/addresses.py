"""Addresses to listen on, and URLs."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_HOST_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:\[\]]+):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class HostPort:
    """An address to listen on. Port 0 lets the system choose."""

    host: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        """What kind of socket listens there."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_host_port(text: str) -> HostPort:
    """``127.0.0.1:8080``, ``[::1]:8080`` or ``name:8080``.

    Raises:
        ValueError: it is something else.
    """
    found = _HOST_PORT.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(f'"{text}" is not HOST:PORT, such as 127.0.0.1:8080')
    return HostPort(found["host"].strip("[]"), int(found["port"]))


def checked_url(text: str, example: str) -> str:
    """A URL of HTTP or HTTPS without a user or password, or an empty text.

    Raises:
        ValueError: it is something else; the text gives the example.
    """
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc):
        raise ValueError(f'"{text}" is not a URL such as {example}')
    return text
