"""The format of tokens, and their hashes.

A token is ``stoker_<kind>_<30 random characters><6 characters of CRC-32>``, all of the random part and the checksum in
base 62. The prefix lets secret scanners find it; the checksum detects a mistyped token without a
query. Only its SHA-256 is stored: a random secret of 178 bits needs no slow hash.
"""

from __future__ import annotations

import hashlib
import string
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.errors import Unauthenticated
from stoker.domain.principals import CredentialKind

if TYPE_CHECKING:
    from stoker.domain.clock import Randomness

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 30
_CHECKSUM_LENGTH = 6
_ENTROPY_BYTES = 24
_MARKS = {
    CredentialKind.ORGANIZATION: "org",
    CredentialKind.PROJECT: "prj",
    CredentialKind.BUILD: "bld",
    CredentialKind.USER: "usr",
}
BUILD_TOKEN_PREFIX = f"stoker_{_MARKS[CredentialKind.BUILD]}_"
_KINDS = {mark: kind for kind, mark in _MARKS.items()}


@dataclass(frozen=True, slots=True)
class NewToken:
    """A new token: ``secret`` is shown once, ``secret_hash`` is stored."""

    kind: CredentialKind
    secret: str
    secret_hash: bytes

    def __repr__(self) -> str:
        """Without the secret."""
        return f"NewToken(kind={self.kind!r})"


@dataclass(frozen=True, slots=True)
class NewSecret:
    """The secret of a session, an invitation or a login: ``secret`` goes to its holder, ``secret_hash`` is stored."""

    secret: str
    secret_hash: bytes

    def __repr__(self) -> str:
        """Without the secret."""
        return "NewSecret()"


def _base62(number: int, length: int) -> str:
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM_LENGTH)


def hash_secret(secret: str) -> bytes:
    """The SHA-256 under which a token is stored and found."""
    return hashlib.sha256(secret.encode()).digest()


def new_secret(randomness: Randomness) -> NewSecret:
    """Make a secret that isn't a token: as unpredictable, and without a kind."""
    secret = _base62(int.from_bytes(randomness.token_bytes(_ENTROPY_BYTES), "big"), _SECRET_LENGTH)
    return NewSecret(secret, hash_secret(secret))


def new_token(kind: CredentialKind, randomness: Randomness) -> NewToken:
    """Make a token of a kind."""
    random_part = _base62(int.from_bytes(randomness.token_bytes(_ENTROPY_BYTES), "big"), _SECRET_LENGTH)
    body = f"stoker_{_MARKS[kind]}_{random_part}"
    secret = body + _checksum(body)
    return NewToken(kind, secret, hash_secret(secret))


def parse_kind(secret: str) -> CredentialKind:
    """The kind of a well-formed token, unverified.

    Raises:
        Unauthenticated: it isn't a stoker token, or was cut or mistyped.
    """
    mark, _, random_part = secret.removeprefix("stoker_").partition("_")
    kind = _KINDS.get(mark)
    if not secret.startswith("stoker_") or kind is None:
        raise Unauthenticated(
            "this is not a stoker token: tokens start with stoker_org_, stoker_prj_, stoker_usr_ or stoker_bld_; "
            "check what DEPOT_TOKEN or the Authorization header holds"
        )
    if len(random_part) != _SECRET_LENGTH + _CHECKSUM_LENGTH or _checksum(secret[:-_CHECKSUM_LENGTH]) != secret[-6:]:
        raise Unauthenticated("the token is damaged: it was cut or mistyped; copy all of it again")
    return kind
