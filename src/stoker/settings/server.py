"""Where a server is, how it is reached, and what it logs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from stoker.settings.addresses import HostPort, parse_host_port
from stoker.settings.group import SettingsGroup


def _data_folder() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "stoker"


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "stoker"


class ServerSettings(SettingsGroup):
    """Where a server is, how it is reached, and what it logs."""

    data: Path = Field(default_factory=_data_folder, description="Folder of the database, keys, volumes and logs.")
    cache: Path = Field(default_factory=_cache_folder, description="Folder of the engine, shared by all servers.")
    listen: str = Field("127.0.0.1:8080", description="HOST:PORT of the API.")
    gateway: str = Field("127.0.0.1:8443", description="HOST:PORT of the gateway.")
    gateway_name: str = Field("", description="Host that clients dial, when it differs from the gateway's.")
    public_url: str = Field("", description="URL under which clients reach the API, when it differs.")
    tls_certificate: Path | None = Field(None, description="PEM certificate chain with which the API speaks TLS.")
    tls_key: Path | None = Field(None, description="PEM key of that certificate.")
    tls_own: bool = Field(
        default=False, description="Speak TLS with a certificate of our own authority; see `stoker ca`."
    )
    log_format: Literal["text", "json"] = Field("text", description="How the API and Envoy log: text or JSON lines.")
    metrics: str = Field("", description="HOST:PORT of the Prometheus metrics, without a credential; empty for none.")
    traces: str = Field("", description="URL to which OpenTelemetry traces are sent by OTLP over HTTP; empty for none.")
    traces_share: float = Field(1, ge=0, le=1, description="How many of the traces that begin here are recorded.")
    bootstrap: Path | None = Field(None, description="File for the first token of a new data folder.")
    engine_folder: Path | None = Field(None, description="Folder with buildkitd and buildctl to use.")
    engine_url: str = Field("", description="BuildKit release archive to download instead of building it.")
    engine_sha256: str = Field("", description="SHA-256 of that archive.")
    container_runtime: Path | None = Field(
        None, description="runc or crun to use; otherwise this host's, or where that has known holes one built here."
    )

    @field_validator("listen", "gateway")
    @classmethod
    def _address(cls, value: str) -> str:
        return str(parse_host_port(value))

    @field_validator("metrics")
    @classmethod
    def _address_or_none(cls, value: str) -> str:
        return str(parse_host_port(value)) if value else value

    @field_validator("traces")
    @classmethod
    def _collector(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc):
            raise ValueError(f'"{value}" is not a URL such as http://127.0.0.1:4318/v1/traces')
        return value

    @field_validator("public_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("data", "cache", "bootstrap", "engine_folder", "container_runtime", "tls_certificate", "tls_key")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

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
    def metrics_address(self) -> HostPort | None:
        """Where the metrics are, if anywhere."""
        return parse_host_port(self.metrics) if self.metrics else None

    @property
    def tls(self) -> bool:
        """Whether the API speaks TLS."""
        return self.tls_own or self.tls_certificate is not None
