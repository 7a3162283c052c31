"""What the supervisor and the API process both put together from the settings."""

from __future__ import annotations

from datetime import timedelta
from hashlib import blake2s
from importlib.metadata import version
from typing import TYPE_CHECKING

from stoker.auth.oidc import OidcVerifier
from stoker.domain.people import Role
from stoker.domain.rates import Bound, Rate
from stoker.domain.trust_policies import Provider, ProviderKind
from stoker.domain.webhooks import Patience
from stoker.gateway.gateway_life import GatewayLife
from stoker.rpc.application import RpcOptions
from stoker.rpc.dispatch import RequestLimits
from stoker.rpc.limits import CallLimits
from stoker.runtimes.opening import EngineFiles, SiteGiven, open_site
from stoker.runtimes.sites import Sites
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
    from collections.abc import Mapping

    from stoker.auth.company import CompanySignIn
    from stoker.auth.issuer_documents import IssuerDocuments
    from stoker.auth.issuer_keys import IssuerKeys
    from stoker.observing.traces import OtlpTracer
    from stoker.runtimes.site import Site
    from stoker.services.meter import Meter
    from stoker.services.tracing import Tracer
    from stoker.settings.effective import Settings
    from stoker.store.database import Database

_SIGN_IN_ALGORITHMS = ("RS256", "PS256", "ES256")
_SUFFIX_BYTES = 3  # a site's name has at most 16 characters, and a server's has 6


def limits_of(settings: Settings) -> Limits:
    """The settings that services keep to."""
    return Limits(
        regions=settings.regions.regions,
        builds=settings.builds,
        projects=settings.projects,
        people=settings.people,
        retention=settings.retention,
        webhooks=settings.webhooks,
    )


def gate_limits(settings: Settings) -> GateLimits:
    """What one build may ask of the gateway."""
    return GateLimits(
        questions=settings.gateway.max_gateway_calls_per_build,
        solves=settings.gateway.max_solves_per_build,
        solve_rate=settings.gateway.solve_rate,
        # Longer than BuildKit itself waits for a solve that is named before it begins.
        solve_wait_seconds=settings.gateway.gateway_wait_seconds / 2,
    )


def rpc_options(settings: Settings, public_url: str) -> RpcOptions:
    """What the API's methods need to know."""
    return RpcOptions(
        public_url=public_url,
        max_message_bytes=settings.api.max_message_bytes,
        max_guest_message_bytes=settings.api.max_guest_message_bytes,
        max_message_parts=settings.api.max_message_parts,
        limits=call_limits(settings),
    )


def call_limits(settings: Settings) -> CallLimits:
    """How many calls the API takes."""
    return CallLimits(
        calls=Bound(settings.api.max_calls, settings.api.max_calls_per_token),
        waiting=Bound(settings.api.max_waiting_calls, settings.api.max_waiting_calls_per_token),
        uploads=Bound(settings.api.max_upload_streams, settings.api.max_upload_streams_per_token),
        each_build=settings.api.max_calls_per_build,
        guests=Bound(settings.api.max_guest_calls, settings.api.max_guest_calls_per_address),
        guest_streams=Bound(settings.api.max_guest_streams, settings.api.max_guest_streams_per_address),
        rate=Rate(settings.api.requests_per_second, settings.api.requests_burst),
        guest_rate=Rate(settings.api.guest_requests_per_second, settings.api.guest_requests_burst),
        remembered=settings.api.max_remembered_callers,
    )


def request_limits(settings: Settings) -> RequestLimits:
    """How requests arrive."""
    strangers = Bound(settings.api.max_guest_calls, settings.api.max_guest_calls_per_address)
    unfinished = Bound(settings.api.max_unfinished_bytes, settings.api.max_unfinished_bytes_per_organization)
    return RequestLimits(settings.api.request_seconds, unfinished, strangers, settings.api.max_guest_message_bytes)


def page_rates(settings: Settings) -> PageRates:
    """How many pages and forms an address gets."""
    return PageRates(
        at_once=Bound(settings.api.max_guest_calls, settings.api.max_guest_calls_per_address),
        live=Bound(settings.pages.max_live_pages, settings.pages.max_live_pages_per_address),
        pages=Rate(settings.api.guest_requests_per_second, settings.api.guest_requests_burst),
        forms=Rate(settings.pages.forms_per_second, settings.pages.forms_burst),
        remembered=settings.api.max_remembered_callers,
    )


def build_pages(settings: Settings) -> Bound:
    """How many pages of builds are made or wait for it."""
    return Bound(settings.pages.max_build_pages, settings.pages.max_build_pages_per_address)


def page_sizes(settings: Settings) -> PageSizes:
    """How much one page shows."""
    return PageSizes(
        steps=settings.pages.page_steps,
        name_characters=settings.pages.page_name_characters,
        step_lines=settings.pages.page_step_lines,
        lines=settings.pages.page_lines,
        failed_lines=settings.pages.page_failed_lines,
        window_lines=settings.pages.page_window_lines,
        trend_builds=settings.pages.page_trend_builds,
        path_steps=settings.pages.page_path_steps,
        warnings=settings.pages.page_warnings,
        search_hits=settings.pages.page_search_hits,
        found_lines=settings.pages.page_found_lines,
        search_bytes=settings.pages.page_search_bytes,
        projects=settings.pages.page_projects,
        builds=settings.pages.page_builds,
        rows=settings.pages.page_rows,
        usage_projects=settings.pages.page_usage_projects,
    )


def oidc_providers(settings: Settings) -> tuple[Provider, ...]:
    """The providers whose OIDC tokens are accepted: the three of Depot's API, and the settings' own."""
    known = (
        (ProviderKind.GITHUB, settings.oidc.github_issuer, settings.oidc.oidc_audience),
        (ProviderKind.BUILDKITE, settings.oidc.buildkite_issuer, settings.oidc.oidc_audience),
        (ProviderKind.CIRCLECI, settings.oidc.circleci_issuer, settings.oidc.circleci_audience),
    )
    return (
        *(Provider(kind.value, kind, issuer, audience, ("RS256",)) for kind, issuer, audience in known if issuer),
        *(
            Provider(provider.name, provider.kind, provider.issuer, provider.audience, provider.algorithms)
            for provider in settings.oidc.oidc_providers
        ),
    )


def delivery_options(settings: Settings) -> DeliveryOptions:
    """How webhooks are sent."""
    return DeliveryOptions(
        parallel=settings.webhooks.parallel_webhooks,
        parallel_of_organization=settings.webhooks.parallel_webhooks_per_organization,
        attempts_of_organization=Rate(
            settings.webhooks.webhook_attempts_per_second, settings.webhooks.webhook_attempts_burst
        ),
        timeout=timedelta(seconds=settings.webhooks.webhook_timeout_seconds),
        patience=Patience(
            first_pause=timedelta(seconds=settings.webhooks.webhook_retry_seconds),
            lifetime=timedelta(hours=settings.webhooks.webhook_hours),
        ),
        allow_private=settings.webhooks.webhook_private_addresses,
        denied=settings.process_runtime.denied_networks,
    )


def new_people_role(settings: Settings) -> Role | None:
    """The role of people whom only the company's provider knows; None when they aren't taken."""
    return Role(settings.sign_in.sign_in_new_people) if settings.sign_in.sign_in_new_people else None


def company_sign_in(
    settings: Settings, public_url: str, documents: IssuerDocuments, keys: IssuerKeys
) -> CompanySignIn | None:
    """The company's provider with which people sign in, if there is one."""
    if not settings.sign_in.sign_in_issuer:
        return None
    from stoker.auth.company import CompanyProvider, CompanySignIn  # only here: its libraries take long to import

    clock = SystemClock()
    secret_file = settings.sign_in.sign_in_client_secret
    provider = CompanyProvider(
        issuer=settings.sign_in.sign_in_issuer,
        client_id=settings.sign_in.sign_in_client_id,
        client_secret=secret_file.read_text().strip() if secret_file else None,
        redirect_uri=f"{public_url}/sign-in/callback",
        trust_email=settings.sign_in.sign_in_trust_email,
        timeout_seconds=settings.oidc.oidc_timeout_seconds,
    )
    issuer = Provider(
        "sign-in", None, settings.sign_in.sign_in_issuer, settings.sign_in.sign_in_client_id, _SIGN_IN_ALGORITHMS
    )
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
        gateway_ended_since=GatewayLife(settings.server.data / "run" / "gateway.json").ended_since,
    )


def otlp_tracer(settings: Settings, server_id: str) -> OtlpTracer | None:
    """Where spans are sent, if anywhere."""
    if not settings.observing.traces:
        return None
    from stoker.observing.traces import OtlpTracer  # only here: its libraries take long to import

    return OtlpTracer(settings.observing.traces, settings.observing.traces_share, server_id, version("stoker"))


def open_sites(
    settings: Settings, server_id: str, engine: EngineFiles, found: Mapping[str, Mapping[str, str]] | None = None
) -> Sites:
    """The sites of a server: one for each region with settings of its own, and one for all others.

    Args:
        settings: name the regions.
        server_id: names the server on its hosts.
        engine: what machines run.
        found: what `Site.prepare` found, by the name of the site.
    """
    regions, given = settings.regions, found or {}
    by_region: dict[str, Site] = {}
    # What several regions share is opened by the first of them, by whose name it is known.
    shared: Site | None = None
    for region in regions.regions:
        is_own = regions.has_site(region)
        if shared is not None and not is_own:
            by_region[region] = shared
            continue
        site = open_site(
            regions.process_runtime_of(region, settings.process_runtime),
            SiteGiven(
                server_id=f"{server_id}{_suffix(region)}" if is_own else server_id,
                data=settings.server.data / "regions" / region if is_own else settings.server.data,
                engine=engine,
                log_bytes=settings.observing.max_log_bytes,
                found=given.get(region, {}),
            ),
        )
        by_region[region] = site
        shared = shared if is_own else site
    return Sites(by_region, otherwise=None if regions.region_runtimes else shared)


def trial_sites(settings: Settings) -> Sites:
    """The sites before there is a server or an engine: to check and to reclaim, not to start machines."""
    return open_sites(settings, "trial", EngineFiles(settings.server.data / "none"))


def _suffix(region: str) -> str:
    return blake2s(region.encode(), digest_size=_SUFFIX_BYTES).hexdigest()
