"""Authentication: from a credential to a principal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.auth.oidc import looks_like_jwt, not_verified
from stoker.auth.tokens import hash_secret, parse_kind
from stoker.domain.ci_claims import origin_of_claims
from stoker.domain.errors import NotFound, PermissionDenied, Unauthenticated
from stoker.domain.principals import CredentialKind, Principal
from stoker.domain.trust_policies import claims_key, describe_source, matches, source_of
from stoker.store import people as person_store
from stoker.store import tokens as token_store
from stoker.store import trust_policies as policy_store
from stoker.store.recent import Recent

if TYPE_CHECKING:
    from stoker.auth.oidc import OidcVerifier
    from stoker.services.core import Core
    from stoker.services.token_uses import TokenUseService

_SCHEME = "bearer "
_MAX_LENGTH = 16 * 1024


class AuthenticationService:
    """Turns an Authorization header into a principal."""

    def __init__(self, core: Core, oidc: OidcVerifier, token_uses: TokenUseService) -> None:
        self._core = core
        self._token_uses = token_uses
        self._oidc = oidc
        self._tokens = Recent(core.database, token_store.find_token)

    async def authenticate(self, authorization: str | None, organization_id: str | None) -> Principal:
        """Verify a header such as ``Bearer stoker_org_…``, or one with an OIDC token.

        Args:
            authorization: the header.
            organization_id: the organization that the caller names, if any. It applies to people and OIDC tokens; every
                other credential belongs to one organization.

        Raises:
            Unauthenticated: there is no credential, or it is damaged, unknown, expired or revoked.
            NotFound: a person is in no organization of that id.
            PermissionDenied: no project trusts where an OIDC token is from.
            Unavailable: an OIDC token's issuer can't be reached.
        """
        secret = _bearer(authorization)
        if looks_like_jwt(secret):
            return await self._authenticate_oidc(secret, organization_id or None)
        kind = parse_kind(secret)
        token = await self._tokens.get(hash_secret(secret))
        if token is None or token.kind is not kind:
            raise Unauthenticated("the token is not known here; check that it belongs to this server")
        if token.revoked_at is not None:
            raise Unauthenticated("the token was revoked; use another")
        if token.expires_at is not None and token.expires_at <= self._core.now():
            raise Unauthenticated("the token has expired; get a new one")
        self._token_uses.note(token.id, self._core.now())
        if token.person_id is not None:
            return await self.person(token.person_id, token.id, organization_id or None)
        return Principal(
            kind=token.kind,
            credential_id=token.id,
            organization_ids=(token.organization_id,) if token.organization_id else (),
            project_id=token.project_id,
            build_id=token.build_id,
            untrusted=token.untrusted,
        )

    async def person(self, person_id: str, credential_id: str, organization_id: str | None = None) -> Principal:
        """A person as a caller, in one of their organizations or in all of them.

        Raises:
            NotFound: they are in no organization of that id.
        """
        async with self._core.database.read() as tx:
            memberships = await person_store.memberships_of(tx, person_id)
        roles = {one.organization_id: one.role for one in memberships if organization_id in (None, one.organization_id)}
        if organization_id is not None and not roles:
            raise NotFound(
                f"organization {organization_id[:40]} was not found among yours; choose another one with "
                "`depot org switch`, or in the header x-depot-org"
            )
        return Principal(
            kind=CredentialKind.USER,
            credential_id=credential_id,
            organization_ids=tuple(roles),
            person_id=person_id,
            roles=roles,
        )

    async def _authenticate_oidc(self, bearer: str, organization_id: str | None) -> Principal:
        token = self._oidc.read(bearer)
        async with self._core.database.read() as tx:
            trusted = await policy_store.is_issuer_trusted(tx, token.issuer.issuer)
        if not trusted:
            # An issuer that nobody trusts isn't asked for its keys, so that strangers can't make us ask around.
            raise not_verified(token.issuer)
        claims = await self._oidc.verify(token)
        key = claims_key(claims)
        async with self._core.database.read() as tx:
            found = [] if key is None else await policy_store.find_trusting(tx, key)
        trusting = [
            one for one in found if matches(one.policy, claims) and organization_id in (None, one.organization_id)
        ]
        if not trusting:
            raise PermissionDenied(
                f"no project trusts {describe_source(claims)} of {claims.issuer}; add a trust policy that names it"
            )
        projects = frozenset(one.policy.project_id for one in trusting)
        # Where a project has both kinds of policies for a source, the untrusted one counts.
        untrusted = frozenset(one.policy.project_id for one in trusting if one.policy.untrusted)
        only = trusting[0] if len(projects) == 1 else None
        return Principal(
            kind=CredentialKind.OIDC,
            credential_id=trusting[0].policy.id,
            # A caller that several projects trust belongs to no organization, so that what is decided by organization
            # alone is closed to it; it has to name the project.
            organization_ids=(only.organization_id,) if only else (),
            project_id=only.policy.project_id if only else None,
            trusting_projects=projects,
            untrusted=untrusted == projects,
            untrusted_projects=untrusted,
            source=source_of(trusting[0].policy),
            origin=origin_of_claims(claims),
        )


def _bearer(authorization: str | None) -> str:
    if not authorization or authorization.strip().lower() == _SCHEME.strip():  # the depot CLI's, without a login
        raise Unauthenticated("there is no credential; log in, or send the header: Authorization: Bearer <token>")
    if len(authorization) > _MAX_LENGTH:
        raise Unauthenticated("the Authorization header is too long to hold a token")
    if not authorization.lower().startswith(_SCHEME):
        raise Unauthenticated("the Authorization header must be: Bearer <token>")
    return authorization[len(_SCHEME) :].strip()
