"""How the API is reached."""

from __future__ import annotations

from urllib.parse import urlsplit

from pyqwest import Client, HTTPTransport, HTTPVersion


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
