"""Trust policies: whose OIDC tokens may build in a project.

A policy names one source of builds at one issuer: a repository, or a pipeline. `_RULES` is the one table that says
which claims of a token must be equal to what the policy names. Everything fails closed: a claim that is missing, empty,
of another type or different means no.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

_ORGANIZATION = "{organization}"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SHOWN = 100


class ProviderKind(StrEnum):
    """Which claims a provider's tokens have."""

    GITHUB = "github"
    BUILDKITE = "buildkite"
    CIRCLECI = "circleci"
    GITLAB = "gitlab"


@dataclass(frozen=True, slots=True)
class Provider:
    """Where OIDC tokens come from.

    ``issuer`` may hold ``{organization}`` in place of a UUID, as CircleCI has an issuer for each organization; so may
    ``audience`` then. Without a ``kind`` no trust policy can name it: people sign in there, and no builds.
    """

    name: str
    kind: ProviderKind | None
    issuer: str
    audience: str
    algorithms: tuple[str, ...]

    def issuer_of(self, owner: str) -> str:
        """The issuer of the tokens of one owner."""
        return self.issuer.replace(_ORGANIZATION, owner)


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer of a provider, and the audience that its tokens must have."""

    provider: Provider
    issuer: str
    audience: str


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """What a token says, once its signature, issuer, audience and times were verified. Only a verifier makes these."""

    provider: Provider
    issuer: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Lets tokens of one source build in one project. The issuer is fixed when the policy is made.

    ``owner`` and ``source`` are a repository's owner and name (GitHub, GitLab), an organization's and a pipeline's slug
    (Buildkite), or an organization's and a project's UUID (CircleCI). What is built by an ``untrusted``
    policy is seen by no other build.
    """

    id: str
    project_id: str
    provider: str
    kind: ProviderKind
    issuer: str
    owner: str
    source: str
    created_at: datetime
    untrusted: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    owner_field: str
    owner_shape: str
    source_field: str
    source_shape: str
    claims: tuple[tuple[str, str], ...]
    any_case: bool = False


# GitHub's names are the same in every case: nobody else can have a name that differs in case alone, and its own
# `repository_owner` keeps the case that the owner chose. All the others are compared exactly, as nothing says that
# they may be written in another case.
_RULES: dict[ProviderKind, _Rule] = {
    ProviderKind.GITHUB: _Rule(
        owner_field="repository_owner",
        owner_shape=r"[A-Za-z0-9_-]{1,100}",
        source_field="repository",
        source_shape=r"[A-Za-z0-9._-]{1,100}",
        claims=(("repository_owner", "{owner}"), ("repository", "{owner}/{source}")),
        any_case=True,
    ),
    ProviderKind.GITLAB: _Rule(
        owner_field="repository_owner",
        owner_shape=r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}(?:/[A-Za-z0-9_][A-Za-z0-9._-]{0,254}){0,20}",
        source_field="repository",
        source_shape=r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}",
        claims=(("namespace_path", "{owner}"), ("project_path", "{owner}/{source}")),
    ),
    ProviderKind.BUILDKITE: _Rule(
        owner_field="organization_slug",
        owner_shape=r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}",
        source_field="pipeline_slug",
        source_shape=r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}",
        claims=(("organization_slug", "{owner}"), ("pipeline_slug", "{source}")),
    ),
    # The owner is in the issuer.
    ProviderKind.CIRCLECI: _Rule(
        owner_field="organization_uuid",
        owner_shape=_UUID,
        source_field="project_uuid",
        source_shape=_UUID,
        claims=(("oidc.circleci.com/project-id", "{source}"),),
    ),
}


def checked_source(kind: ProviderKind, owner: str, source: str) -> tuple[str, str]:
    """Return ``owner`` and ``source`` as they are kept: UUIDs in lower case, a repository without its owner.

    Raises:
        InvalidInput: one of them is empty, a pattern, or can't be a name at that provider.
    """
    rule = _RULES[kind]
    owner, source = owner.strip(), source.strip()
    if rule.source_field == "repository" and "/" in source:
        named, _, source = source.rpartition("/")
        if _folded(named, any_case=rule.any_case) != _folded(owner, any_case=rule.any_case):
            raise InvalidInput(
                f"repository is {_shown(named)}/…, but repository_owner is {_shown(owner)}; use one owner"
            )
    if rule.owner_shape == _UUID:
        owner, source = owner.lower(), source.lower()
    for value, field, shape in (
        (owner, rule.owner_field, rule.owner_shape),
        (source, rule.source_field, rule.source_shape),
    ):
        if not value:
            raise InvalidInput(f"{field} is empty; a trust policy names exactly one {rule.source_field}")
        if not re.fullmatch(shape, value):
            wanted = "a UUID" if shape == _UUID else f"the name as {kind} writes it; patterns are not supported"
            raise InvalidInput(f"{field} {_shown(value)} can't be right; give {wanted}")
    return owner, source


def find_issuer(providers: Iterable[Provider], issuer: str) -> TrustedIssuer | None:
    """The provider that has exactly this issuer."""
    for provider in providers:
        before, placeholder, after = provider.issuer.partition(_ORGANIZATION)
        if not placeholder:
            if issuer == provider.issuer:
                return TrustedIssuer(provider, issuer, provider.audience)
            continue
        found = re.fullmatch(f"{re.escape(before)}({_UUID}){re.escape(after)}", issuer)
        if found is not None:
            return TrustedIssuer(provider, issuer, provider.audience.replace(_ORGANIZATION, found[1]))
    return None


def matches(policy: TrustPolicy, claims: VerifiedClaims) -> bool:
    """Whether a policy lets the bearer of these claims in."""
    key = claims_key(claims)
    return key is not None and key == policy_key(policy)


def policy_key(policy: TrustPolicy) -> str:
    """What a policy demands, in one text that is equal to `claims_key` of the claims that it matches."""
    rule = _RULES[policy.kind]
    wanted = [(name, shape.format(owner=policy.owner, source=policy.source)) for name, shape in rule.claims]
    return _key(policy.issuer, wanted, any_case=rule.any_case)


def claims_key(claims: VerifiedClaims) -> str | None:
    """What these claims offer to policies; None when one that is needed is missing, empty or not a text."""
    kind = claims.provider.kind
    if kind is None:
        return None
    rule = _RULES[kind]
    offered: list[tuple[str, str]] = []
    for name, _ in rule.claims:
        value = claims.values.get(name)
        if not isinstance(value, str) or not value:
            return None
        offered.append((name, value))
    return _key(claims.issuer, offered, any_case=rule.any_case)


def source_of(policy: TrustPolicy) -> str:
    """What a policy trusts, for people to read."""
    return f"{policy.provider} {policy.owner}/{policy.source}"


def describe_source(claims: VerifiedClaims) -> str:
    """The claims that policies look at, for a message to their bearer."""
    kind = claims.provider.kind
    return ", ".join(
        f"{name} {_shown(value) if isinstance(value := claims.values.get(name), str) else 'missing'}"
        for name, _ in (_RULES[kind].claims if kind is not None else ())
    )


def _key(issuer: str, values: list[tuple[str, str]], *, any_case: bool) -> str:
    return json.dumps([issuer, *((name, _folded(value, any_case=any_case)) for name, value in values)])


def _folded(value: str, *, any_case: bool) -> str:
    # Lower case beyond ASCII would make other letters (the Kelvin sign) equal to ASCII's.
    return value.lower() if any_case and value.isascii() else value


def _shown(value: str) -> str:
    return json.dumps(value[:_SHOWN])
