"""Calls of BuildKit's API through the gateway, one by one, as a client that does as it likes makes them."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import urlsplit

from connectrpc.protocol import ProtocolType
from pyqwest import Client

from stoker.buildkit.control import ControlCredentials, control_transport, control_url
from stoker.domain.machines import Placement
from tests.harness.endpoint import EndpointFiles

T = TypeVar("T")


def gateway_http(endpoint: EndpointFiles) -> tuple[Client, str]:
    """An HTTP client with an endpoint's certificate, and the URL under which it finds the gateway."""
    address = urlsplit(endpoint.address)
    assert address.hostname is not None
    assert address.port is not None
    read = {name: (endpoint.folder / f"{name}.pem").read_bytes() for name in ("cert", "key", "ca")}
    credentials = ControlCredentials(read["cert"], read["key"], read["ca"])
    placement = Placement(address.hostname, address.port)
    return (
        Client(control_transport(placement, endpoint.server_name, credentials)),
        control_url(placement, endpoint.server_name),
    )


def gateway_client(endpoint: EndpointFiles, kind: type[T]) -> T:
    """A client of one of BuildKit's services."""
    http, url = gateway_http(endpoint)
    return kind(url, protocol=ProtocolType.GRPC, http_client=http, send_compression=None)  # type: ignore[call-arg]
