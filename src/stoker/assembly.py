"""What the supervisor and the API process both put together from the settings."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from stoker.auth.oidc import OidcVerifier
from stoker.domain.people import Role
from stoker.domain.privileges import Privileges
from stoker.domain.queue import BuildLimits
from stoker.domain.rates import Bound, Rate
from stoker.domain.record_limits import RecordLimits
from stoker.domain.trust_policies import Provider, ProviderKind
from stoker.domain.webhooks import DeliveryBounds, Patience
from stoker.fleet.options import FleetOptions
from stoker.gateway.gateway_life import GatewayLife
from stoker.recorder.options import RecorderOptions
from stoker.recorder.slots import SlotLimits
from stoker.rpc.application import RpcOptions
from stoker.rpc.dispatch import RequestLimits
from stoker.rpc.limits import CallLimits
from stoker.runtimes.process.config import ProcessRuntimeConfig, StoreKind, UserNamespaces
from stoker.runtimes.process.runtime import ProcessRuntime
from stoker.services.admission import Admission
from stoker.services.core import Core, Limits
from stoker.services.gate import GateLimits
from stoker.services.meter import NoMeter
from stoker.services.tracing import NoTracer
from stoker.services.wakeups import Wakeups
from stoker.system import SystemClock, SystemRandomness
from stoker.web.page_limits import PageRates
from stoker.web.page_sizes import PageSizes
from stoker.webhooks.delivering import DeliveryOptions

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.auth.company import CompanySignIn
    from stoker.auth.issuer_documents import IssuerDocuments
    from stoker.auth.issuer_keys import IssuerKeys
    from stoker.observing.traces import OtlpTracer
    from stoker.services.meter import Meter
    from stoker.services.tracing import Tracer
    from stoker.settings.effective import Settings
    from stoker.store.database import Database

_SIGN_IN_ALGORITHMS = ("RS256", "PS256", "ES256")


def limits_of(settings: Settings) -> Limits:
    """The bounds that services keep to."""
    return Limits(
        regions=settings.regions,
        lease_lifetime=timedelta(seconds=settings.lease_seconds),
        build_lifetime=timedelta(hours=settings.build_hours),
        min_keep_bytes=settings.min_keep_bytes,
        max_keep_bytes=settings.max_keep_bytes,
        max_organization_keep_bytes=settings.max_organization_keep_bytes,
        max_projects=settings.max_projects,
        max_project_tokens=settings.max_project_tokens,
        max_organization_tokens=settings.max_organization_tokens,
        max_members=settings.max_members,
        max_sessions=settings.max_sessions,
        max_trust_policies=settings.max_trust_policies,
        max_project_webhooks=settings.max_project_webhooks,
        max_open_logins=settings.max_open_logins,
        max_open_logins_per_address=settings.max_open_logins_per_address,
        invitation_lifetime=timedelta(days=settings.invitation_days),
        session_lifetime=timedelta(days=settings.session_days),
        login_lifetime=timedelta(minutes=settings.login_minutes),
        user_token_lifetime=timedelta(days=settings.user_token_days) if settings.user_token_days else None,
        builds=BuildLimits(
            per_project=settings.max_builds_per_project,
            per_organization=settings.max_builds_per_organization,
            on_server=settings.max_builds,
        ),
        max_waiting_builds=settings.max_waiting_builds,
        max_waiting_builds_per_project=settings.max_waiting_builds_per_project,
        max_open_builds_per_project=settings.max_open_builds_per_project,
        build_rate=Rate(settings.builds_per_second, settings.builds_burst),
        audit_lifetime=timedelta(days=settings.audit_days) if settings.audit_days else None,
        max_audit_events=settings.max_audit_events,
        max_audit_events_per_organization=settings.max_audit_events_per_organization,
        max_audit_events_per_actor=settings.max_audit_events_per_actor,
        webhook_deliveries=DeliveryBounds(
            per_webhook=settings.max_webhook_deliveries_per_webhook,
            per_organization=settings.max_webhook_deliveries_per_organization,
            on_server=settings.max_webhook_deliveries,
        ),
        webhook_history=timedelta(days=settings.webhook_history_days),
        connection_hold=timedelta(seconds=settings.connection_hold_seconds),
    )


def gate_limits(settings: Settings) -> GateLimits:
    """What one build may ask of the gateway."""
    return GateLimits(
        questions=settings.max_gateway_calls_per_build,
        solves=settings.max_solves_per_build,
        # Longer than BuildKit itself waits for a solve that is named before it begins.
        solve_wait_seconds=settings.gateway_wait_seconds / 2,
    )


def record_limits(settings: Settings) -> RecordLimits:
    """How much is kept of what builds do."""
    return RecordLimits(
        step_log_bytes=settings.record_step_log_bytes,
        build_log_bytes=settings.record_build_log_bytes,
        steps=settings.record_steps,
        build_bytes=settings.record_build_bytes,
        warnings=settings.record_warnings,
        dockerfiles=settings.record_dockerfiles,
        dockerfile_bytes=settings.record_dockerfile_bytes,
        attestation_bytes=settings.record_attestation_bytes,
        reported_steps=settings.record_reported_steps,
        reported_bytes=settings.record_reported_bytes,
    )


def recorder_options(settings: Settings) -> RecorderOptions:
    """How builds are followed."""
    return RecorderOptions(
        write_interval=timedelta(seconds=settings.record_interval_seconds),
        pending_bytes=settings.record_pending_bytes,
        reconnect=timedelta(seconds=settings.record_reconnect_seconds),
        drain=timedelta(seconds=settings.record_drain_seconds),
        slots=SlotLimits(
            server=settings.max_followed_solves,
            project=settings.max_followed_solves_per_project,
            build=settings.max_followed_solves_per_build,
        ),
    )


def fleet_options(settings: Settings) -> FleetOptions:
    """How machines are started, kept and stopped."""
    return FleetOptions(
        idle_timeout=timedelta(seconds=settings.idle_seconds),
        start_timeout=timedelta(seconds=settings.start_timeout_seconds),
        start_attempts=settings.start_attempts,
        stop_grace=timedelta(seconds=settings.stop_grace_seconds),
        parallel_starts=settings.parallel_starts,
        housekeeping_pause=timedelta(seconds=settings.housekeeping_seconds),
        privileges=project_privileges(settings),
    )


def rpc_options(settings: Settings, public_url: str) -> RpcOptions:
    """What the API's methods need to know."""
    return RpcOptions(
        public_url=public_url,
        max_message_bytes=settings.max_message_bytes,
        max_guest_message_bytes=settings.max_guest_message_bytes,
        max_message_parts=settings.max_message_parts,
        limits=call_limits(settings),
    )


def call_limits(settings: Settings) -> CallLimits:
    """How many calls the API takes."""
    return CallLimits(
        calls=Bound(settings.max_calls, settings.max_calls_per_token),
        waiting=Bound(settings.max_waiting_calls, settings.max_waiting_calls_per_token),
        uploads=Bound(settings.max_upload_streams, settings.max_upload_streams_per_token),
        each_build=settings.max_calls_per_build,
        guests=Bound(settings.max_guest_calls, settings.max_guest_calls_per_address),
        guest_streams=Bound(settings.max_guest_streams, settings.max_guest_streams_per_address),
        rate=Rate(settings.requests_per_second, settings.requests_burst),
        guest_rate=Rate(settings.guest_requests_per_second, settings.guest_requests_burst),
        remembered=settings.max_remembered_callers,
    )


def request_limits(settings: Settings) -> RequestLimits:
    """How requests arrive."""
    strangers = Bound(settings.max_guest_calls, settings.max_guest_calls_per_address)
    unfinished = Bound(settings.max_unfinished_bytes, settings.max_unfinished_bytes_per_organization)
    return RequestLimits(settings.request_seconds, unfinished, strangers, settings.max_guest_message_bytes)


def page_rates(settings: Settings) -> PageRates:
    """How many pages and forms an address gets."""
    return PageRates(
        at_once=Bound(settings.max_guest_calls, settings.max_guest_calls_per_address),
        live=Bound(settings.max_live_pages, settings.max_live_pages_per_address),
        pages=Rate(settings.guest_requests_per_second, settings.guest_requests_burst),
        forms=Rate(settings.forms_per_second, settings.forms_burst),
        remembered=settings.max_remembered_callers,
    )


def build_pages(settings: Settings) -> Bound:
    """How many pages of builds are made or wait for it."""
    return Bound(settings.max_build_pages, settings.max_build_pages_per_address)


def page_sizes(settings: Settings) -> PageSizes:
    """How much one page shows."""
    return PageSizes(
        steps=settings.page_steps,
        name_characters=settings.page_name_characters,
        step_lines=settings.page_step_lines,
        lines=settings.page_lines,
        failed_lines=settings.page_failed_lines,
        window_lines=settings.page_window_lines,
        trend_builds=settings.page_trend_builds,
        path_steps=settings.page_path_steps,
        warnings=settings.page_warnings,
        search_hits=settings.page_search_hits,
        search_bytes=settings.page_search_bytes,
        projects=settings.page_projects,
        builds=settings.page_builds,
        rows=settings.page_rows,
        usage_projects=settings.page_usage_projects,
    )


def oidc_providers(settings: Settings) -> tuple[Provider, ...]:
    """Whose OIDC tokens are taken: the three of Depot's API, and those of the settings."""
    known = (
        (ProviderKind.GITHUB, settings.github_issuer, settings.oidc_audience),
        (ProviderKind.BUILDKITE, settings.buildkite_issuer, settings.oidc_audience),
        (ProviderKind.CIRCLECI, settings.circleci_issuer, settings.circleci_audience),
    )
    return (
        *(Provider(kind.value, kind, issuer, audience, ("RS256",)) for kind, issuer, audience in known if issuer),
        *(
            Provider(provider.name, provider.kind, provider.issuer, provider.audience, provider.algorithms)
            for provider in settings.oidc_providers
        ),
    )


def delivery_options(settings: Settings) -> DeliveryOptions:
    """How webhooks are sent."""
    return DeliveryOptions(
        parallel=settings.parallel_webhooks,
        parallel_of_organization=settings.parallel_webhooks_per_organization,
        attempts_of_organization=Rate(settings.webhook_attempts_per_second, settings.webhook_attempts_burst),
        timeout=timedelta(seconds=settings.webhook_timeout_seconds),
        patience=Patience(
            first_pause=timedelta(seconds=settings.webhook_retry_seconds),
            lifetime=timedelta(hours=settings.webhook_hours),
        ),
        allow_private=settings.webhook_private_addresses,
        denied=settings.denied_networks,
    )


def new_people_role(settings: Settings) -> Role | None:
    """The role of people whom only the company's provider knows; None when they aren't taken."""
    return Role(settings.sign_in_new_people) if settings.sign_in_new_people else None


def company_sign_in(
    settings: Settings, public_url: str, documents: IssuerDocuments, keys: IssuerKeys
) -> CompanySignIn | None:
    """The company's provider with which people sign in, if there is one."""
    if not settings.sign_in_issuer:
        return None
    from stoker.auth.company import CompanyProvider, CompanySignIn  # only here: its libraries take long to import

    clock = SystemClock()
    secret_file = settings.sign_in_client_secret
    provider = CompanyProvider(
        issuer=settings.sign_in_issuer,
        client_id=settings.sign_in_client_id,
        client_secret=secret_file.read_text().strip() if secret_file else None,
        redirect_uri=f"{public_url}/sign-in/callback",
        trust_email=settings.sign_in_trust_email,
        timeout_seconds=settings.oidc_timeout_seconds,
    )
    issuer = Provider("sign-in", None, settings.sign_in_issuer, settings.sign_in_client_id, _SIGN_IN_ALGORITHMS)
    return CompanySignIn(provider, documents, OidcVerifier((issuer,), keys, clock), clock)


def open_core(
    settings: Settings,
    database: Database,
    admission: Admission | None = None,
    meter: Meter | None = None,
    tracer: Tracer | None = None,
) -> Core:
    """What every service needs, on the real clock."""
    return Core(
        database=database,
        clock=SystemClock(),
        randomness=SystemRandomness(),
        wakeups=Wakeups(),
        limits=limits_of(settings),
        admission=admission or Admission(),
        meter=meter or NoMeter(),
        tracer=tracer or NoTracer(),
        gateway_ended_since=GatewayLife(settings.data / "run" / "gateway.json").ended_since,
    )


def otlp_tracer(settings: Settings, server_id: str) -> OtlpTracer | None:
    """Where spans are sent, if anywhere."""
    if not settings.traces:
        return None
    from stoker.observing.traces import OtlpTracer  # only here: its libraries take long to import

    return OtlpTracer(settings.traces, settings.traces_share, server_id, version("stoker"))


def project_privileges(settings: Settings) -> dict[str, Privileges]:
    """What the operator decided for single projects."""
    return {
        project: Privileges(given.allowed_networks, given.denied_networks, frozenset(given.entitlements))
        for project, given in settings.project_privileges.items()
    }


def process_runtime_config(
    settings: Settings, server_id: str, buildkitd: Path, container_runtime: Path | None = None
) -> ProcessRuntimeConfig:
    """What the runtime of this host is told."""
    return ProcessRuntimeConfig(
        server_id=server_id,
        data=settings.data,
        buildkitd=buildkitd,
        container_runtime=container_runtime,
        network_pool=IPv4Network(settings.network_pool),
        ipv6=settings.network_ipv6,
        allowed_networks=settings.allowed_networks,
        denied_networks=settings.denied_networks,
        max_connections=settings.max_machine_connections,
        allow_unisolated=settings.allow_unisolated,
        name_servers=settings.name_servers,
        max_parallelism=settings.max_parallelism or None,
        step_log_bytes=settings.max_step_log_bytes,
        step_log_bytes_per_second=settings.max_step_log_bytes_per_second,
        log_bytes=settings.max_log_bytes,
        max_processes=settings.max_processes,
        volume_store=StoreKind(settings.volume_store),
        volume_image_bytes=settings.volume_image_bytes,
        volume_headroom_bytes=settings.volume_headroom_bytes,
        untrusted_disk_percent=settings.untrusted_disk_percent,
        min_free_bytes=settings.min_free_bytes,
        min_free_percent=settings.min_free_percent,
        user_namespaces=UserNamespaces(settings.user_namespaces),
        first_id=settings.first_user_id,
        id_ranges=settings.max_user_id_ranges,
    )


def process_runtime(
    settings: Settings, server_id: str, buildkitd: Path, container_runtime: Path | None = None
) -> ProcessRuntime:
    """The runtime that runs machines as processes of this host; ``container_runtime`` is needed to start one."""
    return ProcessRuntime(process_runtime_config(settings, server_id, buildkitd, container_runtime))
