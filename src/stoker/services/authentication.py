"""Who is calling?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.auth.tokens import hash_secret, parse_kind
from stoker.domain.errors import Unauthenticated
from stoker.domain.principals import Principal
from stoker.store import tokens as token_store

if TYPE_CHECKING:
    from stoker.services.core import Core

_SCHEME = "bearer "
_MAX_LENGTH = 16 * 1024


class AuthenticationService:
    """Turns an Authorization header into a principal."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def authenticate(self, authorization: str | None) -> Principal:
        """Verify a header such as ``Bearer stoker_org_…``.

        Raises:
            Unauthenticated: there is no credential, or it is damaged, unknown, expired or revoked.
        """
        secret = _bearer(authorization)
        kind = parse_kind(secret)
        async with self._core.database.read() as tx:
            token = await token_store.find_token(tx, hash_secret(secret))
        if token is None or token.kind is not kind:
            raise Unauthenticated("the token is not known here; check that it belongs to this server")
        if token.revoked_at is not None:
            raise Unauthenticated("the token was revoked; use another")
        if token.expires_at is not None and token.expires_at <= self._core.now():
            raise Unauthenticated("the token has expired; get a new one")
        return Principal(
            kind=token.kind,
            credential_id=token.id,
            organization_id=token.organization_id,
            project_id=token.project_id,
            build_id=token.build_id,
        )


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise Unauthenticated("there is no credential; send the header: Authorization: Bearer <token>")
    if len(authorization) > _MAX_LENGTH:
        raise Unauthenticated("the Authorization header is too long to hold a token")
    if not authorization.lower().startswith(_SCHEME):
        raise Unauthenticated("the Authorization header must be: Bearer <token>")
    return authorization[len(_SCHEME) :].strip()
