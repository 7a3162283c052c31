"""Where a server is, and how it is reached."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from stoker.settings.addresses import HostPort, checked_url, parse_host_port
from stoker.settings.group import STRICT, Seconds, absolute


def _data_folder() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "stoker"


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "stoker"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ServerSettings:
    """Where a server is, and how it is reached."""

    data: Path = Field(default_factory=_data_folder, description="Folder of the database, keys, volumes and logs.")
    cache: Path = Field(default_factory=_cache_folder, description="Folder of the engine, shared by all servers.")
    listen: str = Field(default="127.0.0.1:8080", description="HOST:PORT of the API.")
    gateway: str = Field(default="127.0.0.1:8443", description="HOST:PORT of the gateway.")
    gateway_name: str = Field(default="", description="Host that clients dial, when it differs from the gateway's.")
    public_url: str = Field(default="", description="URL under which clients reach the API, when it differs.")
    tls_certificate: Path | None = Field(
        default=None, description="PEM certificate chain with which the API speaks TLS."
    )
    tls_key: Path | None = Field(default=None, description="PEM key of that certificate.")
    tls_own: bool = Field(
        default=False, description="Speak TLS with a certificate of our own authority; see `stoker ca`."
    )
    bootstrap: Path | None = Field(default=None, description="File for the first token of a new data folder.")
    drain_seconds: Seconds = Field(default=30, description="How long a stop waits for running builds.")

    @field_validator("listen", "gateway")
    @classmethod
    def _address(cls, value: str) -> str:
        return str(parse_host_port(value))

    @field_validator("public_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return checked_url(value, "https://builds.example.com").rstrip("/")

    _absolute = field_validator("data", "cache", "bootstrap", "tls_certificate", "tls_key")(absolute)

    @model_validator(mode="after")
    def _whole_pair(self) -> ServerSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together; give both or none")
        if self.tls_own and self.tls_certificate is not None:
            raise ValueError("tls_own and tls_certificate exclude each other; give one")
        return self

    @property
    def listen_address(self) -> HostPort:
        """Where the API listens."""
        return parse_host_port(self.listen)

    @property
    def gateway_address(self) -> HostPort:
        """Where the gateway listens."""
        return parse_host_port(self.gateway)

    @property
    def tls(self) -> bool:
        """Whether the API speaks TLS."""
        return self.tls_own or self.tls_certificate is not None
