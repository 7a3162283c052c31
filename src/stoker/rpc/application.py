"""Wires all methods of the API with the interceptors, limits and codecs of every call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectrpc_grpcreflect import (
    ServerReflectionAlphaASGIApplication,
    ServerReflectionAlphaService,
    ServerReflectionASGIApplication,
    ServerReflectionService,
)

from stoker._gen.depot.build.v1 import build_connect, registry_connect
from stoker._gen.depot.buildkit.v1 import buildkit_connect
from stoker._gen.depot.cli.v1 import build_connect as cli_build_connect
from stoker._gen.depot.cli.v1 import push_connect
from stoker._gen.depot.cli.v1beta1 import login_connect, projects_connect
from stoker._gen.depot.core.v1 import build_connect as core_build_connect
from stoker._gen.depot.core.v1 import organization_connect, project_connect, usage_connect
from stoker._gen.depot.registry.v1beta1 import registry_connect as depot_registry_connect
from stoker._gen.grpc.health.v1 import health_connect
from stoker._gen.stoker.v1 import (
    audit_connect,
    caches_connect,
    machines_connect,
    queue_connect,
    trust_connect,
    webhooks_connect,
)
from stoker._gen.stoker.v1 import builds_connect as own_builds_connect
from stoker._gen.stoker.v1 import organizations_connect as own_connect
from stoker.auth.access import is_open
from stoker.rpc.codecs import api_codecs
from stoker.rpc.compression import GzipCompression
from stoker.rpc.depot.buildkit import BuildKitHandlers
from stoker.rpc.depot.builds import BuildHandlers
from stoker.rpc.depot.cli_builds import CliBuildHandlers
from stoker.rpc.depot.core_builds import CoreBuildHandlers
from stoker.rpc.depot.logins import LoginHandlers
from stoker.rpc.depot.no_registry import refused_services
from stoker.rpc.depot.organizations import OrganizationHandlers
from stoker.rpc.depot.projects import CliProjectHandlers, ProjectHandlers
from stoker.rpc.depot.usage import UsageHandlers
from stoker.rpc.dispatch import Route
from stoker.rpc.health import HealthHandlers
from stoker.rpc.interceptors import AuthenticationInterceptor, ErrorInterceptor, MeterInterceptor, TraceInterceptor
from stoker.rpc.limits import CallLimits, LimitsInterceptor
from stoker.rpc.stoker.audit import AuditHandlers
from stoker.rpc.stoker.builds import OwnBuildHandlers
from stoker.rpc.stoker.caches import CacheHandlers
from stoker.rpc.stoker.machines import MachineHandlers
from stoker.rpc.stoker.organizations import AccountHandlers, OwnOrganizationHandlers
from stoker.rpc.stoker.queue import QueueHandlers
from stoker.rpc.stoker.trust import TrustHandlers
from stoker.rpc.stoker.webhooks import WebhookHandlers
from stoker.rpc.summarized_builds import SummarizedBuilds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from connectrpc.codec import Codec
    from connectrpc.interceptor import MetadataInterceptor
    from protobuf import DescService

    from stoker.services.all import Services
    from stoker.services.core import Core


_STREAMED_REQUESTS = ("client_streaming", "bidi_streaming")


@dataclass(frozen=True, slots=True)
class RpcOptions:
    """Settings of handlers, interceptors and codecs."""

    public_url: str
    max_message_bytes: int
    max_guest_message_bytes: int
    max_message_parts: int
    limits: CallLimits


def service_routes(
    application: type[Any],
    handlers: object,
    service: DescService,
    interceptors: Iterable[MetadataInterceptor[Any]],
    codecs: Iterable[Codec[Any, Any]],
    max_message_bytes: int,
) -> dict[str, Route]:
    """The methods of one service, by their paths."""
    served = application(
        handlers,
        interceptors=interceptors,
        codecs=codecs,
        compressions=(GzipCompression(),),
        read_max_bytes=max_message_bytes,
    )
    names = {method.name: f"{service.type_name}/{method.name}" for method in service.methods}
    return {
        f"/{names[method.name]}": Route(served, method.method_kind in _STREAMED_REQUESTS, is_open(names[method.name]))
        for method in service.methods
    }


def rpc_routes(services: Services, core: Core, options: RpcOptions) -> dict[str, Route]:
    """All methods of the API, by their paths."""
    errors = ErrorInterceptor(core.randomness)
    limits = LimitsInterceptor(options.limits, core.monotonic)
    trace = TraceInterceptor(core.tracer)
    meter = MeterInterceptor(core.meter, core.monotonic)
    interceptors = (trace, meter, errors, limits, AuthenticationInterceptor(services.authentication))

    cli_builds = CliBuildHandlers(
        services.builds,
        services.endpoints,
        services.reports,
        options.public_url,
        core.limits.builds.connection_wait,
    )
    summarized = SummarizedBuilds(services.builds, services.records)
    core_builds = CoreBuildHandlers(summarized, services.sharing, options.public_url)
    project_images, pushes, registry = refused_services()
    handlers: list[tuple[type[Any], Any]] = [
        (build_connect.BuildServiceASGIApplication, BuildHandlers(services.builds, services.records)),
        (registry_connect.RegistryServiceASGIApplication, project_images),
        (buildkit_connect.BuildKitServiceASGIApplication, BuildKitHandlers(services.endpoints)),
        (cli_build_connect.BuildServiceASGIApplication, cli_builds),
        (push_connect.PushServiceASGIApplication, pushes),
        (login_connect.LoginServiceASGIApplication, LoginHandlers(services.logins, options.public_url)),
        (projects_connect.ProjectsServiceASGIApplication, CliProjectHandlers(services.projects)),
        (core_build_connect.BuildServiceASGIApplication, core_builds),
        (organization_connect.OrganizationServiceASGIApplication, OrganizationHandlers(services.projects)),
        (
            project_connect.ProjectServiceASGIApplication,
            ProjectHandlers(services.projects, services.tokens, services.trust_policies),
        ),
        (usage_connect.UsageServiceASGIApplication, UsageHandlers(services.usage)),
        (depot_registry_connect.RegistryServiceASGIApplication, registry),
        (own_connect.AccountServiceASGIApplication, AccountHandlers(services.organizations, services.logins)),
        (
            own_builds_connect.BuildServiceASGIApplication,
            OwnBuildHandlers(
                summarized, services.records, services.build_logs, services.cancellation, options.public_url
            ),
        ),
        (caches_connect.CacheServiceASGIApplication, CacheHandlers(services.caches)),
        (queue_connect.QueueServiceASGIApplication, QueueHandlers(services.queue)),
        (machines_connect.MachineServiceASGIApplication, MachineHandlers(services.machines)),
        (
            own_connect.OrganizationServiceASGIApplication,
            OwnOrganizationHandlers(services.organizations, services.tokens),
        ),
        (trust_connect.TrustServiceASGIApplication, TrustHandlers(services.tokens, services.trust_policies)),
        (audit_connect.AuditServiceASGIApplication, AuditHandlers(services.audit)),
        (webhooks_connect.WebhookServiceASGIApplication, WebhookHandlers(services.webhooks)),
    ]
    codecs = api_codecs(most_parts=options.max_message_parts)
    routes: dict[str, Route] = {}
    descriptors = [service.desc() for _, service in handlers]
    served = frozenset(descriptor.type_name for descriptor in descriptors)
    health = HealthHandlers(served, services.readiness, core.wakeups)
    handlers.append((health_connect.HealthASGIApplication, health))
    descriptors.append(health_connect.Health.desc())
    for (application, service), descriptor in zip(handlers, descriptors, strict=True):
        names = [f"{descriptor.type_name}/{method.name}" for method in descriptor.methods]
        most = options.max_guest_message_bytes if all(map(is_open, names)) else options.max_message_bytes
        routes |= service_routes(application, service, descriptor, interceptors, codecs, most)
    reflections: list[tuple[type[Any], Any]] = [
        (ServerReflectionASGIApplication, ServerReflectionService(*descriptors)),
        (ServerReflectionAlphaASGIApplication, ServerReflectionAlphaService(*descriptors)),
    ]
    for application, service in reflections:
        served = application(
            service,
            interceptors=interceptors,
            codecs=codecs,
            compressions=(GzipCompression(),),
            read_max_bytes=options.max_guest_message_bytes,
        )
        routes[f"{served.path}/ServerReflectionInfo"] = Route(served, streams_requests=True, is_open=True)
    return routes
