"""A certificate authority: creates it, stores it in a folder, and issues certificates.

Keys are P-256. Every certificate has a random serial number and says what it may be used for (RFC 5280, 4.2.1.12).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stoker.pki.private_files import write_private

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from stoker.domain.clock import Clock

# So that a certificate is valid on clocks that are slow, and after ours is set back.
_BACKDATE = timedelta(days=1)
_CA_LIFETIME = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """A certificate and its key, both PEM."""

    certificate: str
    private_key: str

    def __repr__(self) -> str:
        """Without the key."""
        return "CertificatePair(…)"


class Authority:
    """One certificate authority."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, clock: Clock) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock

    @property
    def certificate(self) -> str:
        """The authority's own certificate (PEM)."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue_server(self, names: tuple[str, ...], lifetime: timedelta) -> CertificatePair:
        """A server's certificate for DNS names or IP addresses, the first of which is its common name."""
        return self._issue(names[0], [_general_name(name) for name in names], ExtendedKeyUsageOID.SERVER_AUTH, lifetime)

    def issue_client(self, common_name: str, uri: str, lifetime: timedelta) -> CertificatePair:
        """A client's certificate, whose identity is ``uri``."""
        identity = x509.UniformResourceIdentifier(uri)
        return self._issue(common_name, [identity], ExtendedKeyUsageOID.CLIENT_AUTH, lifetime)

    def _issue(
        self, common_name: str, names: list[x509.GeneralName], usage: x509.ObjectIdentifier, lifetime: timedelta
    ) -> CertificatePair:
        key = ec.generate_private_key(ec.SECP256R1())
        now = self._clock.now()
        builder = _builder(common_name, key, now, now + lifetime).issuer_name(self._certificate.subject)
        certificate = (
            builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return CertificatePair(
            certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
            private_key=_key_pem(key).decode(),
        )


def open_authority(folder: Path, name: str, clock: Clock) -> Authority:
    """Open the authority ``name`` in ``folder``, and create it on first use. Its key is readable by its owner alone."""
    key_path, certificate_path = folder / f"{name}.key", folder / f"{name}.pem"
    if not certificate_path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        now = clock.now()
        builder = _builder(f"stoker {name}", key, now, now + _CA_LIFETIME)
        certificate = (
            builder.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"stoker {name}")]))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        write_private(key_path, _key_pem(key))
        write_private(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
    key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{key_path} does not hold an elliptic curve key")
    return Authority(x509.load_pem_x509_certificate(certificate_path.read_bytes()), key, clock)


def valid_until(certificate_path: Path) -> datetime:
    """The expiry of the certificate in a file."""
    return x509.load_pem_x509_certificate(certificate_path.read_bytes()).not_valid_after_utc


def names_in(certificate_path: Path) -> frozenset[str]:
    """The DNS names and IP addresses that the certificate in a file is for."""
    certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return frozenset(names.get_values_for_type(x509.DNSName)) | frozenset(addresses)


def _builder(
    common_name: str, key: ec.EllipticCurvePrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(until)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
