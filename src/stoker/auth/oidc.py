"""Verifies OIDC ID tokens as bearers: signature, audience and times.

Algorithms, issuer and audience are fixed for each provider, so that nothing in a token chooses how it is verified.
Times are checked with the clock that is passed in, with little leeway.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.errors import JoseError

from stoker.domain.errors import Unauthenticated
from stoker.domain.trust_policies import TrustedIssuer, VerifiedClaims, find_issuer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.auth.issuer_keys import IssuerKeys
    from stoker.domain.clock import Clock
    from stoker.domain.trust_policies import Provider

ASYMMETRIC_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"})
"""The algorithms that a provider may be configured with."""

LEEWAY_SECONDS = 30
MAX_TOKEN_LENGTH = 12 * 1024
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_REGISTRY = jws.JWSRegistry(algorithms=sorted(ASYMMETRIC_ALGORITHMS), strict_check_header=False)


@dataclass(frozen=True, slots=True)
class ClaimedToken:
    """What a token claims about itself. None of it is verified; it only helps to find the provider."""

    text: str
    issuer: TrustedIssuer
    key_id: str


def looks_like_jwt(bearer: str) -> bool:
    """Whether a bearer has the form of a JWT. None of our own tokens has a dot."""
    return _JWT.fullmatch(bearer) is not None


class OidcVerifier:
    """Verifies tokens of the configured providers."""

    def __init__(self, providers: tuple[Provider, ...], keys: IssuerKeys, clock: Clock) -> None:
        self._providers = providers
        self._keys = keys
        self._clock = clock

    def read(self, token: str) -> ClaimedToken:
        """Read the issuer that a token claims, without verifying it.

        Raises:
            Unauthenticated: it is too long or damaged, its issuer is unknown, or its algorithm isn't the issuer's.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated(f"the OIDC token is longer than {MAX_TOKEN_LENGTH} characters")
        try:
            parts = jws.extract_compact(token.encode(), registry=_REGISTRY)
            header, claims = parts.headers(), _claims(parts.payload)
        except (JoseError, ValueError, RecursionError) as error:
            raise Unauthenticated("the OIDC token is damaged: it was cut or mistyped; get a new one") from error
        name = claims.get("iss")
        issuer = find_issuer(self._providers, name) if isinstance(name, str) else None
        if issuer is None:
            known = ", ".join(provider.issuer for provider in self._providers) or "none"
            raise Unauthenticated(f"the OIDC token's issuer {_shown(name)} is not one that this server takes: {known}")
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in issuer.provider.algorithms:
            wanted = " or ".join(issuer.provider.algorithms)
            raise Unauthenticated(
                f"the OIDC token says that it is signed with {_shown(algorithm)}; {issuer.issuer} signs with {wanted}"
            )
        if not isinstance(key_id, str) or not key_id:
            raise Unauthenticated(f"the OIDC token doesn't say which key of {issuer.issuer} signed it (kid)")
        return ClaimedToken(token, issuer, key_id)

    async def verify(self, token: ClaimedToken) -> VerifiedClaims:
        """Verify a token.

        Raises:
            Unauthenticated: it isn't signed by its issuer, has expired or isn't valid yet, or is for another audience.
            Unavailable: the issuer's keys can't be fetched.
        """
        trusted = token.issuer
        key = await self._keys.find(trusted.issuer, token.key_id)
        if key is None:
            raise not_verified(trusted)
        try:
            content = jws.deserialize_compact(
                token.text, key, algorithms=list(trusted.provider.algorithms), registry=_REGISTRY
            )
            claims = _claims(content.payload)
        except (JoseError, ValueError, RecursionError) as error:
            raise not_verified(trusted) from error
        if claims.get("iss") != trusted.issuer:
            raise not_verified(trusted)
        _require_times(claims, self._clock.now().timestamp())
        if claims.get("aud") not in (trusted.audience, [trusted.audience]):
            raise Unauthenticated(
                f"the OIDC token is for the audience {_shown(claims.get('aud'))}; "
                f"ask your CI for one with {_shown(trusted.audience)} alone"
            )
        return VerifiedClaims(trusted.provider, trusted.issuer, claims)


def not_verified(issuer: TrustedIssuer) -> Unauthenticated:
    """The answer to tokens whose signature can't be verified, and to issuers that no project trusts.

    They get the same answer, so that strangers can't find out which CircleCI organizations are trusted here.
    """
    return Unauthenticated(
        f"the OIDC token can't be verified: no key of {issuer.issuer} signed it, or no project here trusts that "
        "issuer; get a new token, and look at the project's trust policies"
    )


def _claims(payload: bytes | None) -> Mapping[str, Any]:
    claims: object = json.loads(payload or b"")
    if not isinstance(claims, dict):
        raise ValueError("the payload is not an object")  # noqa: TRY004
    return claims  # pyright: ignore[reportUnknownVariableType]


def _require_times(claims: Mapping[str, Any], now: float) -> None:
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if expires is None or issued is None:
        raise Unauthenticated("the OIDC token has no exp or no iat; tokens that never expire are not taken")
    if expires + LEEWAY_SECONDS <= now:
        raise Unauthenticated("the OIDC token has expired; get a new one from your CI")
    not_before = issued if "nbf" not in claims else _time(claims, "nbf")
    if not_before is None or max(not_before, issued) - LEEWAY_SECONDS > now:
        raise Unauthenticated("the OIDC token is not valid yet; compare the clocks of your CI and of this server")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) else None


def _shown(value: object) -> str:
    return json.dumps(value)[:200]
