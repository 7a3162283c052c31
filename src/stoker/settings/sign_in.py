"""The company's OpenID Connect provider, with which people sign in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from stoker.settings.group import STRICT, absolute
from stoker.settings.oidc import checked_issuer


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SignInSettings:
    """The company's OpenID Connect provider, with which people sign in."""

    sign_in_issuer: str = Field(
        default="", description="OpenID Connect provider with which people sign in, such as https://login.example.com."
    )
    sign_in_name: str = Field(
        default="your company", min_length=1, max_length=60, description="What the sign-in page calls it."
    )
    sign_in_client_id: str = Field(default="", description="Client id that this server has at that provider.")
    sign_in_client_secret: Path | None = Field(
        default=None, description="File with the client secret; without one the server is a public client."
    )
    sign_in_new_people: Literal["", "viewer", "member"] = Field(
        default="",
        description="Role in the first organization for people whom only the provider knows; empty for none.",
    )
    sign_in_trust_email: bool = Field(
        default=False, description="Take the provider's addresses as verified where it doesn't say (email_verified)."
    )

    @field_validator("sign_in_issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        return checked_issuer(value) if value else value

    _absolute_secret = field_validator("sign_in_client_secret")(absolute)

    @model_validator(mode="after")
    def _whole_sign_in(self) -> SignInSettings:
        if bool(self.sign_in_issuer) != bool(self.sign_in_client_id):
            raise ValueError("sign_in_issuer and sign_in_client_id go together; give both or none")
        return self
