"""Builds the objects of an API process, each once: its services, its pages and its fleet controller."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.assembly import (
    build_pages,
    company_sign_in,
    gate_limits,
    new_people_role,
    oidc_providers,
    page_rates,
    page_sizes,
)
from stoker.auth.oidc import OidcVerifier
from stoker.auth.passwords import Passwords
from stoker.fleet.controller import FleetController
from stoker.fleet.housekeeping import Housekeeping
from stoker.fleet.machine_writer import MachineWriter
from stoker.fleet.starting import MachineStarting
from stoker.fleet.stopping import MachineStopping
from stoker.recorder.recorder import Recorder
from stoker.recorder.solve_records import SolveRecords
from stoker.rpc.stoker.audit import event_json
from stoker.services.all import Services
from stoker.services.analysis import AnalysisService
from stoker.services.audit_queries import AuditService
from stoker.services.authentication import AuthenticationService
from stoker.services.build_logs import BuildLogService
from stoker.services.builds import BuildService
from stoker.services.caches import CacheService
from stoker.services.cancellation import CancellationService
from stoker.services.census import CensusService
from stoker.services.clock_watch import ClockWatch
from stoker.services.comparisons import ComparisonService
from stoker.services.endpoints import EndpointService
from stoker.services.expiry import ExpiryService
from stoker.services.gate import GateService
from stoker.services.logins import LoginService
from stoker.services.machines import MachineService
from stoker.services.organizations import OrganizationService
from stoker.services.overviews import OverviewService
from stoker.services.prewarming import PrewarmService
from stoker.services.projects import ProjectService
from stoker.services.queue import QueueService
from stoker.services.readiness import ReadinessService
from stoker.services.record_writer import RecordWriter
from stoker.services.records import RecordService
from stoker.services.reports import ReportService
from stoker.services.retention import RetentionService
from stoker.services.sharing import SharingService
from stoker.services.shutdown import ShutdownService
from stoker.services.sign_in import SignInService
from stoker.services.signs_of_life import SignsOfLife
from stoker.services.solve_failures import SolveFailures
from stoker.services.token_uses import TokenUseService
from stoker.services.tokens import TokenService
from stoker.services.trust_policies import TrustPolicyService
from stoker.services.usage import UsageService
from stoker.services.webhooks import WebhookService
from stoker.web.application import web_application
from stoker.web.page import WebContext
from stoker.web.page_limits import PageLimits
from stoker.web.sessions import Cookies

if TYPE_CHECKING:
    from stoker.auth.issuer_documents import IssuerDocuments
    from stoker.auth.issuer_keys import IssuerKeys
    from stoker.buildkit.control import ControlCredentials
    from stoker.fleet.cache_inspection import CacheInspection
    from stoker.gateway.machine_blobs import MachineBlobs
    from stoker.gateway.solve_connections import SolveConnections
    from stoker.pki.certificates import Certificates
    from stoker.plan import ServerPlan
    from stoker.runtimes.sites import Sites
    from stoker.services.core import Core
    from stoker.settings.fleet import FleetSettings

_TEST_PATIENCE = timedelta(seconds=5)


def services_of(
    core: Core,
    plan: ServerPlan,
    sites: Sites,
    certificates: Certificates,
    keys: IssuerKeys,
    cache_inspection: CacheInspection,
    blobs: MachineBlobs,
    solves: SolveConnections,
    webhook_key: bytes,
) -> Services:
    """All services of a server process.

    Args:
        core: what every service needs.
        plan: what was decided for this run.
        sites: where machines run.
        certificates: issues the certificates of builds.
        keys: the keys of issuers of OIDC tokens.
        cache_inspection: asks machines what is in their caches.
        blobs: asks machines for the blobs of solves.
        solves: cuts the connections over which builds solve.
        webhook_key: from which the keys of webhooks are derived.
    """
    settings = plan.settings
    providers = oidc_providers(settings)
    clock_watch, signs, token_uses = ClockWatch(core), SignsOfLife(), TokenUseService(core)
    record_writer = RecordWriter(core, settings.records.limits)
    analysis = AnalysisService(core, settings.pages.page_analysed_steps)
    prewarming = PrewarmService(core, settings.fleet)
    records = RecordService(core)
    return Services(
        analysis=analysis,
        audit=AuditService(core),
        authentication=AuthenticationService(core, OidcVerifier(providers, keys, core.clock), token_uses),
        build_logs=BuildLogService(core, records),
        builds=BuildService(core, prewarming),
        caches=CacheService(core, cache_inspection.inspect),
        cancellation=CancellationService(core, solves),
        census=CensusService(core),
        clock_watch=clock_watch,
        comparisons=ComparisonService(core, analysis),
        endpoints=EndpointService(core, certificates, plan.gateway_address, sites.platforms_of, signs),
        expiry=ExpiryService(core, clock_watch, signs),
        gate=GateService(
            core, settings.fleet.privileges, blobs, gate_limits(settings), records=settings.records.record_builds
        ),
        logins=LoginService(core),
        machines=MachineService(core),
        organizations=OrganizationService(core, plan.public_url),
        overviews=OverviewService(core),
        prewarming=prewarming,
        projects=ProjectService(core, sites.is_one_site),
        queue=QueueService(core),
        readiness=ReadinessService(core),
        record_writer=record_writer,
        records=records,
        reports=ReportService(core, record_writer, settings.records.report_grace),
        retention=RetentionService(core),
        sharing=SharingService(core),
        shutdown=ShutdownService(core),
        sign_in=SignInService(core, Passwords(), new_people_role(settings)),
        solve_failures=SolveFailures(core, settings.gateway.gateway_wait_seconds / 2),
        token_uses=token_uses,
        tokens=TokenService(core),
        trust_policies=TrustPolicyService(core, providers),
        usage=UsageService(core),
        webhooks=WebhookService(
            core,
            webhook_key,
            allow_private=settings.webhooks.webhook_private_addresses,
            test_wait=timedelta(seconds=settings.webhooks.webhook_timeout_seconds) + _TEST_PATIENCE,
        ),
    )


def fleet_controller(
    core: Core,
    sites: Sites,
    certificates: Certificates,
    credentials: ControlCredentials,
    cache_inspection: CacheInspection,
    options: FleetSettings,
) -> FleetController:
    """The controller of all machines, with a claim of its own."""
    claim = core.new_id()
    housekeeping = Housekeeping(core, sites, credentials, options)
    writer = MachineWriter(core, options, claim)
    stopping = MachineStopping(core, sites, cache_inspection, writer, options)
    starting = MachineStarting(core, sites, certificates, credentials, housekeeping, stopping, writer, options)
    return FleetController(core, sites, starting, stopping, writer, housekeeping, options, claim)


def recorder_of(
    services: Services, core: Core, plan: ServerPlan, sites: Sites, credentials: ControlCredentials
) -> Recorder:
    """What records the solves of all machines."""
    native = frozenset(one.architecture for one in sites.native_platforms())
    records = SolveRecords(core, services.record_writer, plan.settings.records.limits, native)
    return Recorder(core, records, credentials, plan.settings.recorder, core.monotonic)


def pages_of(
    services: Services, core: Core, plan: ServerPlan, documents: IssuerDocuments, keys: IssuerKeys
) -> PageLimits:
    """The pages, behind their limits. People sign in with a provider whose documents and keys are given."""
    settings = plan.settings
    cookies = Cookies(plan.public_url.startswith("https://"), core.limits.people.session_lifetime)
    context = WebContext(
        services=services,
        audit_json=event_json,
        page_sizes=page_sizes(settings),
        company=company_sign_in(settings, plan.public_url, documents, keys),
        company_name=settings.sign_in.sign_in_name,
        randomness=core.randomness,
        cookies=cookies,
        live_refreshes_per_second=settings.pages.live_refreshes_per_second,
        build_pages=build_pages(settings),
        now=core.now,
        monotonic=core.monotonic,
    )
    return PageLimits(web_application(context), page_rates(settings), cookies, core.monotonic)
