"""Sign-in through the company's own OpenID Connect provider: the authorization code flow with PKCE.

(OpenID Connect Core 1.0, section 3.1; RFC 7636.) State, nonce and code verifier are derived from a secret that only the
browser's cookie holds, so the server stores nothing and a callback works only in that browser.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from stoker.auth.issuer_documents import DocumentUnavailable
from stoker.domain.errors import PermissionDenied, Unavailable
from stoker.domain.people import CompanyIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stoker.auth.issuer_documents import IssuerDocuments
    from stoker.auth.oidc import OidcVerifier
    from stoker.domain.clock import Clock

_SCOPE = "openid email profile"
_DISCOVERY = "/.well-known/openid-configuration"
_FRESH = timedelta(hours=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CompanyProvider:
    """The provider, and our client registration there."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect_uri: str
    trust_email: bool
    timeout_seconds: float

    def __repr__(self) -> str:
        """Without the secret."""
        return f"CompanyProvider(issuer={self.issuer!r}, client_id={self.client_id!r})"


class CompanySignIn:
    """Redirects browsers to the provider, and identifies the person afterwards."""

    def __init__(
        self, provider: CompanyProvider, documents: IssuerDocuments, verifier: OidcVerifier, clock: Clock
    ) -> None:
        self._provider = provider
        self._documents = documents
        self._verifier = verifier
        self._clock = clock
        self._configuration: Mapping[str, Any] = {}
        self._fetched_at: datetime | None = None

    async def begin(self, browser_secret: str) -> str:
        """The address to redirect the browser to.

        Raises:
            Unavailable: the provider can't be reached.
        """
        endpoint = await self._endpoint("authorization_endpoint")
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                endpoint,
                state=_derived(browser_secret, "state"),
                nonce=_derived(browser_secret, "nonce"),
                code_verifier=_derived(browser_secret, "code verifier"),
            )
        return str(url)

    async def finish(self, browser_secret: str, answer: Mapping[str, str]) -> CompanyIdentity:
        """The person who came back.

        Args:
            browser_secret: the one that `begin` was called with.
            answer: the query of the callback.

        Raises:
            PermissionDenied: the provider refused, or the answer isn't for this browser.
            Unauthenticated: the provider's ID token can't be verified.
            Unavailable: the provider can't be reached.
        """
        state = _derived(browser_secret, "state")
        if not browser_secret or not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
            raise PermissionDenied("this sign-in was started in another browser, or too long ago; start again")
        if answer.get("iss", self._provider.issuer) != self._provider.issuer:
            raise PermissionDenied("another provider answered than expected; start again")
        if "error" in answer or not answer.get("code"):
            raise PermissionDenied(f"your company's sign-in refused: {answer.get('error', 'no code')[:100]}")
        endpoint = await self._endpoint("token_endpoint")
        try:
            async with self._client() as client:
                token = await client.fetch_token(
                    endpoint,
                    code=answer["code"],
                    code_verifier=_derived(browser_secret, "code verifier"),
                    grant_type="authorization_code",
                )
                claims = await self._verified(str(token.get("id_token", "")), _derived(browser_secret, "nonce"))
                if "email" not in claims:
                    claims = await self._with_user_info(client, claims)
        except (httpx2.HTTPError, ValueError, RecursionError) as error:
            raise _unreachable(error) from error
        except AuthlibBaseError as error:
            _log.warning("the sign-in provider refused a code: %s", error)
            raise PermissionDenied("your company's sign-in did not confirm who you are; start again") from error
        return CompanyIdentity(
            issuer=self._provider.issuer,
            subject=str(claims.get("sub", "")),
            email=str(claims.get("email", "")),
            is_email_verified=claims.get("email_verified", self._provider.trust_email) is True,
            name=str(claims.get("name", "")),
        )

    async def _verified(self, id_token: str, nonce: str) -> Mapping[str, object]:
        claims = (await self._verifier.verify(self._verifier.read(id_token))).values
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()) or not claims.get("sub"):
            raise PermissionDenied("the provider's answer is not for this sign-in; start again")
        return claims

    async def _with_user_info(self, client: Any, claims: Mapping[str, object]) -> Mapping[str, object]:  # noqa: ANN401
        """Add the user info: many providers put the email address only there."""
        answer: object = (await client.get(await self._endpoint("userinfo_endpoint"))).json()
        if not isinstance(answer, dict):
            raise ValueError("the user info is not an object")  # noqa: TRY004
        info = cast("dict[str, object]", answer)
        if info.get("sub") != claims.get("sub"):  # section 5.3.2: must be compared
            raise PermissionDenied("the provider's answers are about two people; start again")
        return {**info, **claims}

    async def _endpoint(self, name: str) -> str:
        now = self._clock.now()
        if self._fetched_at is None or now - self._fetched_at > _FRESH:
            try:
                found = await self._documents.fetch(self._provider.issuer.rstrip("/") + _DISCOVERY)
            except DocumentUnavailable as error:
                raise _unreachable(error) from error
            if found.get("issuer") != self._provider.issuer:
                raise _unreachable(ValueError("its configuration is of another issuer"))
            self._configuration, self._fetched_at = found, now
        url = self._configuration.get(name)
        if not isinstance(url, str):
            raise _unreachable(ValueError(f"its configuration has no {name}"))
        return url

    def _client(self) -> Any:  # noqa: ANN401 (the library has no types)
        provider = self._provider
        return AsyncOAuth2Client(
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            token_endpoint_auth_method="client_secret_basic" if provider.client_secret else "none",
            scope=_SCOPE,
            redirect_uri=provider.redirect_uri,
            code_challenge_method="S256",
            timeout=provider.timeout_seconds,
            verify=ssl.create_default_context(),
            follow_redirects=False,
        )


def _derived(browser_secret: str, purpose: str) -> str:
    digest = hmac.digest(browser_secret.encode(), purpose.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _unreachable(error: Exception) -> Unavailable:
    _log.warning("the sign-in provider can't be used: %s", error)
    return Unavailable("your company's sign-in can't be reached right now; try again, or sign in with your password")
