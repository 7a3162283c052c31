"""TLS on the API port: HTTP/1.1 and HTTP/2 by ALPN, with our own authority's certificate or a given one."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import timedelta
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stoker.pki.authority import names_in, open_authority
from stoker.pki.certificates import Certificates
from stoker.pki.private_files import write_private
from stoker.system import SystemClock
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.server import Server

HEALTH = "/grpc.health.v1.Health/Check"


@pytest.fixture(scope="module")
def secure(make_server: Callable[..., Server]) -> Server:
    return make_server(tls_own="true")


def check_health(server: Server, authority: str) -> int:
    address = urlsplit(server.url)
    context = ssl.create_default_context(cadata=authority)
    connection = HTTPSConnection(address.hostname or "", address.port, context=context, timeout=10)
    connection.request("POST", HEALTH, b"{}", {"content-type": "application/json"})
    return connection.getresponse().status


def test_the_printed_authority_is_what_clients_check_the_api_against(secure: Server) -> None:
    assert secure.url.startswith("https://")
    assert check_health(secure, secure.authority()) == 200


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_the_client_chooses_the_protocol(secure: Server, protocol: str) -> None:
    address = urlsplit(secure.url)
    context = ssl.create_default_context(cadata=secure.authority())
    context.set_alpn_protocols([protocol])
    connection = HTTPSConnection(address.hostname or "", address.port, context=context, timeout=10)
    connection.connect()
    assert isinstance(connection.sock, ssl.SSLSocket)
    assert connection.sock.selected_alpn_protocol() == protocol
    connection.close()


def test_without_the_authority_a_client_does_not_trust_the_server(secure: Server) -> None:
    address = urlsplit(secure.url)
    connection = HTTPSConnection(address.hostname or "", address.port, timeout=10)
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.connect()


def test_the_depot_cli_builds_over_tls(secure: Server, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(secure.authority())
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    result = Depot(secure, tmp_path).build(cwd=context, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
    assert result.code == 0, result.output


def test_a_given_certificate_is_used(make_server: Callable[..., Server], tmp_path: Path) -> None:
    authority = open_authority(tmp_path / "company", "company", SystemClock())
    pair = authority.issue_server(("127.0.0.1",), timedelta(days=1))
    write_private(tmp_path / "api.pem", pair.certificate.encode())
    write_private(tmp_path / "api.key", pair.private_key.encode())
    server = make_server("--tls-certificate", str(tmp_path / "api.pem"), "--tls-key", str(tmp_path / "api.key"))
    assert check_health(server, authority.certificate) == 200


def test_a_certificate_is_made_anew_when_its_names_change(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path, SystemClock())
    first = certificates.api(("one.example",)).certificate
    before = first.read_text()
    assert certificates.api(("one.example",)).certificate.read_text() == before
    assert "two.example" in names_in(certificates.api(("two.example",)).certificate)
    assert first.read_text() != before
