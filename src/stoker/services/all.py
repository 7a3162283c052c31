"""All services of a server in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from stoker.services.solve_failures import SolveFailures
    from stoker.services.token_uses import TokenUseService
    from stoker.services.tokens import TokenService
    from stoker.services.trust_policies import TrustPolicyService
    from stoker.services.usage import UsageService
    from stoker.services.webhooks import WebhookService


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of one server process. Handlers, pages, the gateway's answers and background work share them."""

    analysis: AnalysisService
    audit: AuditService
    authentication: AuthenticationService
    build_logs: BuildLogService
    builds: BuildService
    caches: CacheService
    cancellation: CancellationService
    census: CensusService
    clock_watch: ClockWatch
    comparisons: ComparisonService
    endpoints: EndpointService
    expiry: ExpiryService
    gate: GateService
    logins: LoginService
    machines: MachineService
    organizations: OrganizationService
    overviews: OverviewService
    prewarming: PrewarmService
    projects: ProjectService
    queue: QueueService
    readiness: ReadinessService
    record_writer: RecordWriter
    records: RecordService
    reports: ReportService
    retention: RetentionService
    sharing: SharingService
    shutdown: ShutdownService
    sign_in: SignInService
    solve_failures: SolveFailures
    token_uses: TokenUseService
    tokens: TokenService
    trust_policies: TrustPolicyService
    usage: UsageService
    webhooks: WebhookService
