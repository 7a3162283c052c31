"""What callers of the API may ask for at once."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from stoker.settings.group import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ApiSettings:
    """What callers of the API may ask for at once."""

    max_message_bytes: int = Field(default=4 * 1024 * 1024, ge=1024, description="Largest API message.")
    max_message_parts: int = Field(
        default=100_000, ge=1000, description="Fields of an API message, a nested message or list counted as six."
    )
    max_guest_message_bytes: int = Field(
        default=64 * 1024, ge=1024, description="Largest API message of a method that needs no token."
    )
    max_header_kilobytes: int = Field(default=60, ge=8, le=8192, description="Largest header of an API request.")
    request_seconds: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="How long an API message, also one of a stream, may take to arrive, or 1 MiB to be read.",
    )
    max_unfinished_bytes: int = Field(
        default=128 * 1024 * 1024, ge=1024, description="Memory of messages that have begun to arrive at the API."
    )
    max_unfinished_bytes_per_organization: int = Field(
        default=32 * 1024 * 1024, ge=1024, description="The same of one organization."
    )
    requests_per_second: float = Field(default=1000, gt=0, description="API calls a second with one token, for long.")
    requests_burst: int = Field(default=10_000, ge=1, description="API calls with one token at once, beyond that rate.")
    guest_requests_per_second: float = Field(
        default=100, gt=0, description="Calls a second without a token, or with one that isn't valid, from one address."
    )
    guest_requests_burst: int = Field(default=1000, ge=1, description="Such calls at once, beyond that rate.")
    max_calls: int = Field(default=2000, ge=1, description="API calls under way at once, without those that wait.")
    max_calls_per_token: int = Field(default=1000, ge=1, description="The same with one token.")
    max_waiting_calls: int = Field(default=20_000, ge=1, description="Streams and other waiting calls at once.")
    max_waiting_calls_per_token: int = Field(default=10_000, ge=1, description="The same with one token.")
    max_upload_streams: int = Field(default=5000, ge=1, description="Streams of messages to the API at once.")
    max_upload_streams_per_token: int = Field(default=500, ge=1, description="The same with one token.")
    max_calls_per_build: int = Field(
        default=100,
        ge=1,
        description="Calls, streams of either kind and health reports under way with a build's own token.",
    )
    max_guest_calls: int = Field(default=1000, ge=1, description="Calls under way that need no token.")
    max_guest_calls_per_address: int = Field(default=100, ge=1, description="The same from one address.")
    max_guest_streams: int = Field(
        default=500,
        ge=1,
        description="Streams that need no token, such as Health/Watch and FinishLogin, of each method.",
    )
    max_guest_streams_per_address: int = Field(default=50, ge=1, description="The same from one address.")
    max_remembered_callers: int = Field(default=100_000, ge=1, description="Callers whose rate is kept in memory.")
    max_api_connections: int = Field(default=50_000, ge=1, description="Connections to the API at once.")
    max_api_connections_per_address: int = Field(
        default=5000,
        ge=1,
        description="The same from one address or IPv6 /64, at most a quarter; not where trusted_proxies is set.",
    )
    max_streams_per_connection: int = Field(
        default=1000, ge=1, le=2**31 - 1, description="Calls and streams at once on one HTTP/2 connection to the API."
    )
    connection_idle_seconds: float = Field(
        default=75,
        ge=0.1,
        le=24 * 3600,
        description="How long a connection to the API may be open without a call. Longer than proxies keep theirs.",
    )
    trusted_proxies: int = Field(
        default=0,
        ge=0,
        le=16,
        description="Proxies in front of the API whose X-Forwarded-For names the caller's address.",
    )
