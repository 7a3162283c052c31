"""What callers may ask for."""

from __future__ import annotations

from pydantic import Field

from stoker.settings.group import SettingsGroup


class LimitSettings(SettingsGroup):
    """What callers may ask for."""

    max_message_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="Largest API message.")
    max_message_parts: int = Field(
        100_000, ge=1000, description="Fields of an API message, a nested message or list counted as six."
    )
    max_guest_message_bytes: int = Field(
        64 * 1024, ge=1024, description="Largest API message of a method that needs no token."
    )
    max_header_kilobytes: int = Field(60, ge=8, le=8192, description="Largest header of an API request.")
    request_seconds: float = Field(
        60,
        gt=0,
        le=3600,
        description="How long an API message, also one of a stream, may take to arrive, or 1 MiB to be read.",
    )
    max_unfinished_bytes: int = Field(
        128 * 1024 * 1024, ge=1024, description="Memory of messages that have begun to arrive at the API."
    )
    max_unfinished_bytes_per_organization: int = Field(
        32 * 1024 * 1024, ge=1024, description="The same of one organization."
    )
    requests_per_second: float = Field(1000, gt=0, description="API calls a second with one token, for long.")
    requests_burst: int = Field(10_000, ge=1, description="API calls with one token at once, beyond that rate.")
    guest_requests_per_second: float = Field(
        100, gt=0, description="Calls a second without a token, or with one that isn't valid, from one address."
    )
    guest_requests_burst: int = Field(1000, ge=1, description="Such calls at once, beyond that rate.")
    forms_per_second: float = Field(1, gt=0, description="Forms, such as a sign-in, a second from one address.")
    forms_burst: int = Field(100, ge=1, description="Forms at once, beyond that rate.")
    max_calls: int = Field(2000, ge=1, description="API calls under way at once, without those that wait.")
    max_calls_per_token: int = Field(1000, ge=1, description="The same with one token.")
    max_waiting_calls: int = Field(20_000, ge=1, description="Streams and other waiting calls at once.")
    max_waiting_calls_per_token: int = Field(10_000, ge=1, description="The same with one token.")
    max_upload_streams: int = Field(5000, ge=1, description="Streams of messages to the API at once.")
    max_upload_streams_per_token: int = Field(500, ge=1, description="The same with one token.")
    max_calls_per_build: int = Field(
        100, ge=1, description="Calls, streams of either kind and health reports under way with a build's own token."
    )
    max_guest_calls: int = Field(1000, ge=1, description="Calls under way that need no token.")
    max_guest_calls_per_address: int = Field(100, ge=1, description="The same from one address.")
    max_guest_streams: int = Field(
        1000, ge=1, description="Streams that need no token, such as Health/Watch and FinishLogin, of each method."
    )
    max_guest_streams_per_address: int = Field(50, ge=1, description="The same from one address.")
    max_live_pages: int = Field(5000, ge=1, description="Pages that are followed live at once.")
    max_live_pages_per_address: int = Field(
        500, ge=1, description="The same from one address, and of one person who is signed in."
    )
    live_refreshes_per_second: float = Field(
        50, gt=0, description="Refreshes of all live pages a second; with more viewers each is refreshed less often."
    )
    max_build_pages: int = Field(
        500, ge=1, description="Pages and searches of builds that are being made or wait for it; one is made at a time."
    )
    max_build_pages_per_address: int = Field(
        20, ge=1, description="The same for one address, and for one person who is signed in."
    )
    max_remembered_callers: int = Field(100_000, ge=1, description="Callers whose rate is kept in memory.")
    max_api_connections: int = Field(50_000, ge=1, description="Connections to the API at once.")
    max_api_connections_per_address: int = Field(
        5000,
        ge=1,
        description="The same from one address or IPv6 /64, at most a quarter; not where trusted_proxies is set.",
    )
    max_streams_per_connection: int = Field(
        1000, ge=1, le=2**31 - 1, description="Calls and streams at once on one HTTP/2 connection to the API."
    )
    connection_idle_seconds: float = Field(
        75,
        ge=0.1,
        le=24 * 3600,
        description="How long a connection to the API may be open without a call. Longer than proxies keep theirs.",
    )
    trusted_proxies: int = Field(
        0, ge=0, le=16, description="Proxies in front of the API whose X-Forwarded-For names the caller's address."
    )
