"""Whom a server knows: OIDC providers of CI systems, and people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from stoker.domain.trust_policies import ProviderKind
from stoker.settings.given_json import from_json
from stoker.settings.group import Seconds, SettingsGroup

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _checked_issuer(value: str) -> str:
    parts = urlsplit(value)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f'"{value}" is not an issuer, such as https://gitlab.example.com; http is for loopback only')
    return value


class OidcProvider(BaseModel):
    """One more provider of OIDC tokens, such as GitLab or a GitHub Enterprise server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    kind: ProviderKind
    issuer: Annotated[str, AfterValidator(_checked_issuer)]
    audience: str = Field(min_length=1)
    algorithms: tuple[Algorithm, ...] = Field(("RS256",), min_length=1)


class IdentitySettings(SettingsGroup):
    """Whom a server knows: OIDC providers of CI systems, and people."""

    oidc_audience: str = Field(
        "https://depot.dev", min_length=1, description="Audience of GitHub's and Buildkite's tokens."
    )
    github_issuer: str = Field(
        "https://token.actions.githubusercontent.com", description="Issuer of GitHub's OIDC tokens; empty for none."
    )
    buildkite_issuer: str = Field(
        "https://agent.buildkite.com", description="Issuer of Buildkite's OIDC tokens; empty for none."
    )
    circleci_issuer: str = Field(
        "https://oidc.circleci.com/org/{organization}",
        description="Issuer of CircleCI's OIDC tokens, with the place of the organization's UUID; empty for none.",
    )
    circleci_audience: str = Field(
        "{organization}", min_length=1, description="Audience of CircleCI's tokens; theirs is the organization's UUID."
    )
    oidc_providers: tuple[OidcProvider, ...] = Field((), description="More OIDC providers; JSON in the environment.")
    oidc_timeout_seconds: float = Field(5, gt=0, le=60, description="How long an issuer may take to show its keys.")
    oidc_refresh_seconds: Seconds = Field(10, description="Time between two looks at an issuer's keys.")
    sign_in_issuer: str = Field(
        "", description="OpenID Connect provider with which people sign in, such as https://login.example.com."
    )
    sign_in_name: str = Field(
        "your company", min_length=1, max_length=60, description="What the sign-in page calls it."
    )
    sign_in_client_id: str = Field("", description="Client id that this server has at that provider.")
    sign_in_client_secret: Path | None = Field(
        None, description="File with the client secret; without one the server is a public client."
    )
    sign_in_new_people: Literal["", "viewer", "member"] = Field(
        "", description="Role in the first organization for people whom only the provider knows; empty for none."
    )
    sign_in_trust_email: bool = Field(
        default=False, description="Take the provider's addresses as verified where it doesn't say (email_verified)."
    )
    session_days: float = Field(14, gt=0, le=365, description="How long a browser stays signed in.")
    invitation_days: float = Field(7, gt=0, le=90, description="How long an invitation's link works.")
    login_minutes: float = Field(15, gt=0, le=24 * 60, description="How long `depot login` waits for its approval.")
    user_token_days: float = Field(90, ge=0, le=3660, description="How long a login's token works; 0 for ever.")
    max_organization_tokens: int = Field(1000, ge=1, description="Tokens that an organization may have of its own.")
    max_sessions: int = Field(
        100, ge=1, description="Browsers in which a person is signed in; beyond it the oldest one is signed out."
    )
    max_trust_policies: int = Field(1000, ge=1, description="Trust policies that a project may have.")
    max_members: int = Field(10_000, ge=1, description="Members and invitations that an organization may have.")

    @field_validator("github_issuer", "buildkite_issuer", "circleci_issuer", "sign_in_issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        return _checked_issuer(value) if value else value

    @field_validator("circleci_issuer")
    @classmethod
    def _issuer_of_each_organization(cls, value: str) -> str:
        if value and value.count("{organization}") != 1:
            raise ValueError("it must hold {organization} once, where the organization's UUID is")
        return value

    @field_validator("oidc_providers", mode="before")
    @classmethod
    def _providers_from_json(cls, value: object) -> object:
        return from_json(value)

    @field_validator("sign_in_client_secret")
    @classmethod
    def _absolute_secret(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @model_validator(mode="after")
    def _distinct_providers(self) -> IdentitySettings:
        names = ["github", "buildkite", "circleci", *(provider.name for provider in self.oidc_providers)]
        issuers = [self.github_issuer, self.buildkite_issuer, self.circleci_issuer]
        issuers = [*filter(None, issuers), *(provider.issuer for provider in self.oidc_providers)]
        if len(set(names)) != len(names):
            raise ValueError("oidc_providers: each needs a name of its own; github, buildkite and circleci are taken")
        if len(set(issuers)) != len(issuers):
            raise ValueError("oidc_providers: each provider needs an issuer of its own")
        if any(provider.kind is ProviderKind.CIRCLECI for provider in self.oidc_providers):
            raise ValueError("oidc_providers: kind is github, gitlab or buildkite; for CircleCI set circleci_issuer")
        return self

    @model_validator(mode="after")
    def _whole_sign_in(self) -> IdentitySettings:
        if bool(self.sign_in_issuer) != bool(self.sign_in_client_id):
            raise ValueError("sign_in_issuer and sign_in_client_id go together; give both or none")
        return self
