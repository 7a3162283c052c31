"""Logs, metrics and traces of a server."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from stoker.settings.addresses import HostPort, checked_url, parse_host_port
from stoker.settings.group import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ObservingSettings:
    """Logs, metrics and traces of a server."""

    log_format: Literal["text", "json"] = Field(
        default="text", description="How the API and Envoy log: text or JSON lines."
    )
    max_log_bytes: int = Field(
        default=16 * 1024 * 1024, ge=64 * 1024, description="Largest log file; two of each are kept."
    )
    metrics: str = Field(
        default="", description="HOST:PORT of the Prometheus metrics, without a credential; empty for none."
    )
    traces: str = Field(
        default="", description="URL to which OpenTelemetry traces are sent by OTLP over HTTP; empty for none."
    )
    traces_share: float = Field(
        default=1, ge=0, le=1, description="How many of the traces that begin here are recorded."
    )

    @field_validator("metrics")
    @classmethod
    def _address_or_none(cls, value: str) -> str:
        return str(parse_host_port(value)) if value else value

    @field_validator("traces")
    @classmethod
    def _collector(cls, value: str) -> str:
        return checked_url(value, "http://127.0.0.1:4318/v1/traces")

    @property
    def metrics_address(self) -> HostPort | None:
        """Where the metrics are, if anywhere."""
        return parse_host_port(self.metrics) if self.metrics else None
