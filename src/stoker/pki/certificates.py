"""The certificates of one server.

Two independent authorities: `builds` signs the gateway's own certificate and a client certificate for
every build; `machines` signs each run of a machine and the one client that machines obey, which is us. So a build's
certificate is worth nothing at a machine, only at the gateway.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.pki.authority import CertificatePair, names_in, open_authority, valid_until
from stoker.pki.private_files import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.domain.clock import Clock
    from stoker.domain.platforms import Platform

_GATEWAY_DOMAIN = "gateway.stoker.internal"
_OWN_LIFETIME = timedelta(days=3 * 365)
_RENEW_BEFORE = timedelta(days=365)
_MACHINE_LIFETIME = timedelta(days=3 * 365)
_INTERNAL_URI = "spiffe://stoker.internal/control"
_BUILD_URI = "spiffe://stoker.internal/build/"
_PLATFORM_PART = "/platform/"


@dataclass(frozen=True, slots=True)
class PairFiles:
    """The files of a certificate and its key."""

    certificate: Path
    key: Path


def endpoint_server_name(machine_id: str) -> str:
    """The server name for builds of one machine at the gateway; no other builds pass under it."""
    return f"{machine_id}.{_GATEWAY_DOMAIN}"


def build_uri(build_id: str, platform: Platform) -> str:
    """The identity in a build's client certificate."""
    return f"{_BUILD_URI}{build_id}{_PLATFORM_PART}{platform.architecture}"


def parse_build_uri(uri: str) -> tuple[str, str] | None:
    """The build id and architecture in a client certificate's identity; None if it is not a build's."""
    if not uri.startswith(_BUILD_URI):
        return None
    build_id, separator, architecture = uri.removeprefix(_BUILD_URI).partition(_PLATFORM_PART)
    return (build_id, architecture) if separator else None


class Certificates:
    """Opens the two authorities under ``folder`` and issues what the server needs."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._builds = open_authority(folder, "builds", clock)
        self._machines = open_authority(folder, "machines", clock)

    @property
    def builds_ca(self) -> str:
        """The authority that clients verify the gateway with (PEM)."""
        return self._builds.certificate

    @property
    def builds_ca_file(self) -> Path:
        """The same, as a file."""
        return self._folder / "builds.pem"

    @property
    def machines_ca_file(self) -> Path:
        """The authority that machines and their callers verify each other with."""
        return self._folder / "machines.pem"

    def issue_build(self, build_id: str, platform: Platform, lifetime: timedelta) -> CertificatePair:
        """The client certificate of one build for one platform."""
        return self._builds.issue_client(f"build {build_id}", build_uri(build_id, platform), lifetime)

    def gateway(self, extra_names: tuple[str, ...]) -> PairFiles:
        """The gateway's own certificate, renewed when a third of its life is left or its names change."""
        return self._server("gateway", (_GATEWAY_DOMAIN, f"*.{_GATEWAY_DOMAIN}", *extra_names))

    def api(self, names: tuple[str, ...]) -> PairFiles:
        """A certificate for the API, for TLS without a publicly trusted certificate."""
        return self._server("api", names)

    def internal_client(self) -> PairFiles:
        """The client certificate with which we call machines."""
        files = self._files("control")
        if self._is_due(files):
            self._write(files, self._machines.issue_client("stoker control", _INTERNAL_URI, _OWN_LIFETIME))
        return files

    def machine(self, server_name: str) -> CertificatePair:
        """A new certificate for one run of a machine. It is not stored here."""
        return self._machines.issue_server((server_name,), _MACHINE_LIFETIME)

    def remove_machine_files(self) -> None:
        """Remove the certificates of machines that earlier versions kept here."""
        shutil.rmtree(self._folder / "machine", ignore_errors=True)

    def _server(self, file_name: str, names: tuple[str, ...]) -> PairFiles:
        files = self._files(file_name)
        every = tuple(dict.fromkeys((*names, "localhost", "127.0.0.1", "::1")))
        if self._is_due(files) or names_in(files.certificate) != frozenset(every):
            self._write(files, self._builds.issue_server(every, _OWN_LIFETIME))
        return files

    def _files(self, name: str) -> PairFiles:
        return PairFiles(certificate=self._folder / f"{name}.pem", key=self._folder / f"{name}.key")

    def _is_due(self, files: PairFiles) -> bool:
        if not files.certificate.exists() or not files.key.exists():
            return True
        return valid_until(files.certificate) - self._clock.now() < _RENEW_BEFORE

    def _write(self, files: PairFiles, pair: CertificatePair) -> None:
        files.certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(files.key, pair.private_key.encode())
        write_private(files.certificate, pair.certificate.encode())
