"""Providers of OIDC tokens, such as those of CI systems."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from stoker.domain.trust_policies import ProviderKind
from stoker.settings.group import STRICT, Seconds, from_json

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def checked_issuer(value: str) -> str:
    """The URL of an issuer.

    Raises:
        ValueError: it isn't one, or leads over plain HTTP to another host.
    """
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
    issuer: Annotated[str, AfterValidator(checked_issuer)]
    audience: str = Field(min_length=1)
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256",), min_length=1)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OidcSettings:
    """Providers of OIDC tokens, such as those of CI systems."""

    oidc_audience: str = Field(
        default="https://depot.dev", min_length=1, description="Audience of GitHub's and Buildkite's tokens."
    )
    github_issuer: str = Field(
        default="https://token.actions.githubusercontent.com",
        description="Issuer of GitHub's OIDC tokens; empty for none.",
    )
    buildkite_issuer: str = Field(
        default="https://agent.buildkite.com", description="Issuer of Buildkite's OIDC tokens; empty for none."
    )
    circleci_issuer: str = Field(
        default="https://oidc.circleci.com/org/{organization}",
        description="Issuer of CircleCI's OIDC tokens, with the place of the organization's UUID; empty for none.",
    )
    circleci_audience: str = Field(
        default="{organization}",
        min_length=1,
        description="Audience of CircleCI's tokens; theirs is the organization's UUID.",
    )
    oidc_providers: tuple[OidcProvider, ...] = Field(
        default=(), description="More OIDC providers; JSON in the environment."
    )
    oidc_timeout_seconds: float = Field(
        default=5, gt=0, le=60, description="How long an issuer may take to show its keys."
    )
    oidc_refresh_seconds: Seconds = Field(default=10, description="Time between two looks at an issuer's keys.")

    @field_validator("github_issuer", "buildkite_issuer", "circleci_issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        return checked_issuer(value) if value else value

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

    @model_validator(mode="after")
    def _distinct_providers(self) -> OidcSettings:
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
