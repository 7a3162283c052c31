"""All settings, where they come from, and which one counts.

A flag on the command line counts before the environment (``STOKER_<NAME>``), that before the TOML file, that before
the default.
"""

from __future__ import annotations

import json
import os
import re
import socket
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyAddress,
    IPvAnyNetwork,
    ValidationError,
    field_validator,
    model_validator,
)

from stoker.domain.cache_policy import MIN_KEEP_BYTES
from stoker.domain.privileges import Entitlement
from stoker.domain.trust_policies import ProviderKind

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENVIRONMENT_PREFIX = "STOKER_"
_CONFIG_VARIABLE = "STOKER_CONFIG"
_LISTS = frozenset({"regions", "allowed_networks", "denied_networks", "name_servers"})  # commas in the environment
_SMALLEST_IMAGE = 256 * 1024**2
_HOST_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:\[\]]+):(?P<port>\d{1,5})")


class SettingsError(Exception):
    """A setting is wrong; the text says which, where it came from and what would be right."""


@dataclass(frozen=True, slots=True)
class HostPort:
    """An address to listen on. Port 0 lets the system choose."""

    host: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        """What kind of socket listens there."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_host_port(text: str) -> HostPort:
    """``127.0.0.1:8080``, ``[::1]:8080`` or ``name:8080``.

    Raises:
        ValueError: it is something else.
    """
    found = _HOST_PORT.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(f'"{text}" is not HOST:PORT, such as 127.0.0.1:8080')
    return HostPort(found["host"].strip("[]"), int(found["port"]))


def _data_folder() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "stoker"


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "stoker"


Seconds = Annotated[float, Field(ge=0, le=7 * 24 * 3600)]


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


class ProjectPrivileges(BaseModel):
    """What the builds of one project may do that those of others may not, or the other way round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allowed_networks: tuple[IPvAnyNetwork, ...] = ()
    denied_networks: tuple[IPvAnyNetwork, ...] = ()
    entitlements: tuple[Entitlement, ...] = ()


class Settings(BaseModel):
    """The effective settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    regions: tuple[str, ...] = Field(("us-east-1", "eu-central-1"), min_length=1, description="Region names.")
    network_pool: str = Field("10.210.0.0/16", description="IPv4 range from which machines get their networks.")
    network_ipv6: bool = Field(default=True, description="Give RUN steps IPv6 where the host has it.")
    allowed_networks: tuple[IPvAnyNetwork, ...] = Field(
        (), description="Private ranges that RUN steps may reach nevertheless, such as 10.20.0.0/16."
    )
    denied_networks: tuple[IPvAnyNetwork, ...] = Field(
        (), description="More ranges that RUN steps may not reach; they count before allowed_networks."
    )
    name_servers: tuple[IPvAnyAddress, ...] = Field(
        (), description="Name servers that RUN steps ask, instead of the host's own."
    )
    project_privileges: dict[str, ProjectPrivileges] = Field(
        default_factory=dict[str, ProjectPrivileges],
        description="Networks and entitlements of single projects, by their ids; JSON in the environment.",
    )
    idle_seconds: Seconds = Field(120, description="How long a machine without builds is kept.")
    lease_seconds: Seconds = Field(300, description="How long a build lives without a health report.")
    build_hours: float = Field(24, gt=0, le=24 * 7, description="How long a build may last at all.")
    drain_seconds: Seconds = Field(30, description="How long a stop waits for running builds.")
    stop_grace_seconds: Seconds = Field(10, description="How long a machine gets to end by itself.")
    start_timeout_seconds: Seconds = Field(60, description="How long a machine may take to become ready.")
    start_attempts: int = Field(3, ge=1, le=100, description="Failed starts after which waiting builds fail.")
    parallel_starts: int = Field(8, ge=1, le=1000, description="Machines that start at once.")
    max_builds_per_project: int = Field(
        100, ge=0, description="Builds of a project that hold machines at once; more wait for their turn. 0: no limit."
    )
    max_builds_per_organization: int = Field(500, ge=0, description="The same of an organization.")
    max_builds: int = Field(0, ge=0, description="The same of all; whose organization builds least is served first.")
    max_waiting_builds: int = Field(10_000, ge=1, description="Builds of an organization that may wait at once.")
    connection_hold_seconds: Seconds = Field(4, description="How long the depot CLI's question is held open.")
    gateway_wait_seconds: Seconds = Field(30, description="How long calls wait at the gateway for the API.")
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
    max_members: int = Field(10_000, ge=1, description="Members and invitations that an organization may have.")
    audit_days: float = Field(
        365, ge=0, le=36_600, description="How long events of the audit log are kept; 0 for ever."
    )
    max_audit_events: int = Field(
        1_000_000, ge=1000, description="Events of the audit log that are kept at most, of all organizations."
    )
    webhook_timeout_seconds: float = Field(10, gt=0, le=60, description="How long one attempt of a webhook may take.")
    webhook_retry_seconds: float = Field(
        5, gt=0, le=3600, description="Pause after a webhook's first failed attempt; it doubles, up to an hour."
    )
    webhook_hours: float = Field(24, ge=0, le=24 * 30, description="How long a webhook that fails is tried again.")
    webhook_history_days: float = Field(7, ge=0, le=366, description="How long deliveries that are done are listed.")
    webhook_private_addresses: bool = Field(
        default=False, description="Send webhooks to private networks and this host too."
    )
    max_webhook_deliveries: int = Field(10_000, ge=1, description="Deliveries of webhooks that may wait.")
    parallel_webhooks: int = Field(8, ge=1, le=256, description="Webhooks that are sent to at once.")
    max_open_logins: int = Field(1000, ge=1, description="Logins of command lines that may wait for their approval.")
    measure_seconds: float = Field(
        900, ge=1, le=7 * 24 * 3600, description="Time between two looks at the size of a running machine's volume."
    )
    token_use_seconds: float = Field(
        60, ge=1, le=24 * 3600, description="Time between two writes of when tokens were last used."
    )
    max_message_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="Largest API message.")
    max_header_kilobytes: int = Field(60, ge=8, le=8192, description="Largest header of an API request.")
    request_seconds: float = Field(60, gt=0, le=3600, description="How long an API message may take to arrive.")
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
    max_guest_calls: int = Field(1000, ge=1, description="Calls under way that need no token.")
    max_guest_calls_per_address: int = Field(100, ge=1, description="The same from one address.")
    max_live_pages: int = Field(5000, ge=1, description="Pages that are followed live at once.")
    max_live_pages_per_address: int = Field(
        500, ge=1, description="The same from one address, and of one person who is signed in."
    )
    live_refreshes_per_second: float = Field(
        50, gt=0, description="Refreshes of all live pages a second; with more viewers each is refreshed less often."
    )
    max_remembered_callers: int = Field(100_000, ge=1, description="Callers whose rate is kept in memory.")
    max_api_connections: int = Field(50_000, ge=1, description="Connections to the API at once.")
    trusted_proxies: int = Field(
        0, ge=0, le=16, description="Proxies in front of the API whose X-Forwarded-For names the caller's address."
    )
    max_solve_bytes: int = Field(16 * 1024 * 1024, ge=1024, description="Largest Solve request at the gateway.")
    max_step_log_bytes: int = Field(
        16 * 1024 * 1024, ge=-1, le=2**31 - 1, description="Most that is kept of a step's output; -1 for all of it."
    )
    max_step_log_bytes_per_second: int = Field(
        1024 * 1024, ge=-1, le=2**31 - 1, description="The same of each second; -1 for all of it."
    )
    max_log_bytes: int = Field(16 * 1024 * 1024, ge=64 * 1024, description="Largest log file; two of each are kept.")
    record_builds: bool = Field(default=True, description="Record steps and logs of builds.")
    record_days: float = Field(30, gt=0, le=3660, description="How long steps and logs of ended builds are kept.")
    record_step_log_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, description="How much is kept of a step's log; the record says what was dropped."
    )
    record_build_log_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="How much is kept of a build's logs.")
    record_steps: int = Field(20_000, ge=1, le=1_000_000, description="How many steps of a build are kept.")
    record_dockerfile_bytes: int = Field(1024 * 1024, ge=1024, description="The largest Dockerfile that is kept.")
    record_attestation_bytes: int = Field(
        8 * 1024 * 1024, ge=0, description="How much is kept of a build's provenance and SBOMs; 0 for nothing."
    )
    record_interval_seconds: float = Field(
        0.25, ge=0.01, le=60, description="Time between two writes of what a build does."
    )
    record_pending_bytes: int = Field(
        1024 * 1024, ge=1024, description="How much of a build's logs waits in memory to be written."
    )
    record_reconnect_seconds: Seconds = Field(
        30, description="How long a machine is tried that can't be reached while its builds are recorded."
    )
    record_drain_seconds: Seconds = Field(5, description="How long a build is recorded after its end.")
    max_followed_solves: int = Field(1000, ge=1, description="Builds that are recorded at once; others wait.")
    page_steps: int = Field(2000, ge=1, le=20_000, description="Steps that one page of a build shows.")
    page_step_lines: int = Field(50, ge=1, le=10_000, description="Lines of each step's log on a build's page.")
    page_lines: int = Field(2000, ge=1, le=100_000, description="Lines of logs on a build's page, of all its steps.")
    page_failed_lines: int = Field(20, ge=1, le=10_000, description="Lines of a failed step's log above the others.")
    page_window_lines: int = Field(1000, ge=1, le=10_000, description="Lines on one page of a step's log.")
    page_analysed_steps: int = Field(
        5000,
        ge=0,
        le=100_000,
        description="Steps of a build up to which its critical path and its cache are looked at.",
    )
    page_path_steps: int = Field(100, ge=1, le=10_000, description="Steps of a critical path that are listed.")
    page_warnings: int = Field(100, ge=1, le=10_000, description="Warnings that a build's page lists.")
    page_search_hits: int = Field(200, ge=1, le=10_000, description="Lines that a search of a build's logs finds.")
    page_search_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="How much of a build's logs a search looks at."
    )
    page_projects: int = Field(50, ge=1, le=500, description="Projects on one page of an organization.")
    page_builds: int = Field(25, ge=1, le=500, description="Builds on one page of a project.")
    page_rows: int = Field(100, ge=1, le=500, description="Rows of other lists, such as members, on one page.")
    page_usage_projects: int = Field(20, ge=1, le=500, description="Projects that usage shows one by one.")
    page_trend_builds: int = Field(50, ge=2, le=1000, description="Builds that a project's trends compare.")
    min_keep_bytes: int = Field(MIN_KEEP_BYTES, ge=1, description="The smallest cache policy that a project may have.")
    max_projects: int = Field(100_000, ge=1, description="Projects that an organization may have.")
    max_project_tokens: int = Field(1000, ge=1, description="Tokens that a project may have.")
    housekeeping_seconds: Seconds = Field(5, description="Pause between two times that a machine drops surplus cache.")
    max_processes: int = Field(
        10_000, ge=200, le=4_000_000, description="Processes and threads of a machine with all its steps."
    )
    volume_store: Literal["auto", "btrfs-image", "btrfs", "directory"] = Field(
        "auto", description="How caches are kept: btrfs in an image file or on a mounted btrfs, or directories."
    )
    volume_image_bytes: int = Field(
        0, ge=0, description="Size of the image file, which grows with this; 0 for most of what is free at first."
    )
    volume_headroom_bytes: int = Field(
        10 * 1000**3, ge=64 * 1024**2, description="What a volume may hold above its project's cache policy."
    )
    min_free_bytes: int = Field(2 * 1000**3, ge=0, description="Free space below which no more builds are taken.")
    min_free_percent: float = Field(5, ge=0, le=100, description="The same in percent; the smaller of the two counts.")
    allow_unisolated: bool = Field(
        default=False, description="Serve where RUN steps can't be kept apart from the host's networks."
    )
    max_parallelism: int = Field(0, ge=0, description="Steps that a machine runs at once; 0 for one a CPU of its size.")

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

    @field_validator("oidc_providers", "project_privileges", mode="before")
    @classmethod
    def _from_json(cls, value: object) -> object:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ValueError("it is not JSON, such as [{...}, {...}] or {...}") from error

    @model_validator(mode="after")
    def _distinct_providers(self) -> Settings:
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
    def _whole_sign_in(self) -> Settings:
        if bool(self.sign_in_issuer) != bool(self.sign_in_client_id):
            raise ValueError("sign_in_issuer and sign_in_client_id go together; give both or none")
        return self

    @model_validator(mode="after")
    def _whole_pair(self) -> Settings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together; give both or none")
        if self.tls_own and self.tls_certificate is not None:
            raise ValueError("tls_own and tls_certificate exclude each other; give one")
        return self

    @field_validator("public_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator(
        "data", "cache", "bootstrap", "engine_folder", "tls_certificate", "tls_key", "sign_in_client_secret"
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("volume_image_bytes")
    @classmethod
    def _large_enough(cls, value: int) -> int:
        if 0 < value < _SMALLEST_IMAGE:
            raise ValueError(f"it must be 0, or {_SMALLEST_IMAGE} (256 MiB) at least")
        return value

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


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The effective settings, and for each the place that it comes from."""

    values: Settings
    sources: Mapping[str, str]


def load_settings(flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None = None) -> LoadedSettings:
    """Put the settings together.

    Args:
        flags: from the command line; None means not given.
        environ: the environment.
        file: the TOML file; without one, STOKER_CONFIG or the user's own, if there is any.

    Raises:
        SettingsError: a value is wrong, or a name is unknown.
    """
    values: dict[str, Any] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    path = _settings_file(environ, file)
    if path is not None:
        for name, value in _read_file(path).items():
            if name not in Settings.model_fields:
                raise SettingsError(f'{path}: there is no setting "{name}"; `stoker config` lists them all')
            values[name], sources[name] = value, str(path)
    for name in Settings.model_fields:
        variable = _ENVIRONMENT_PREFIX + name.upper()
        if variable in environ:
            text = environ[variable]
            values[name] = [part.strip() for part in text.split(",") if part.strip()] if name in _LISTS else text
            sources[name] = variable
        if flags.get(name) is not None:
            values[name], sources[name] = flags[name], f"--{name.replace('_', '-')}"
    try:
        return LoadedSettings(Settings(**values), sources)
    except ValidationError as error:
        first = error.errors()[0]
        reason = str(first["msg"]).removeprefix("Value error, ")
        if not first["loc"]:
            raise SettingsError(reason) from error
        name, *inside = (str(part) for part in first["loc"])
        place = ": ".join([f"{name} (from {sources.get(name, 'unknown')})", *inside])
        raise SettingsError(f"{place}: {reason}") from error


def _settings_file(environ: Mapping[str, str], given: Path | None) -> Path | None:
    named = given or (Path(environ[_CONFIG_VARIABLE]) if environ.get(_CONFIG_VARIABLE) else None)
    if named is not None:
        return named
    base = environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    usual = Path(base) / "stoker" / "stoker.toml"
    try:
        return usual if usual.is_file() else None
    except OSError as error:
        raise SettingsError(f"the settings file {usual} can't be read: {error.strerror}") from error


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"the settings file {path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
