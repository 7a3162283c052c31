"""What the supervisor and the API process both put together from the settings."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from stoker.domain.trust_policies import Provider, ProviderKind
from stoker.runtimes.process.config import ProcessRuntimeConfig
from stoker.runtimes.process.runtime import ProcessRuntime
from stoker.services.admission import Admission
from stoker.services.core import Core, Limits
from stoker.services.wakeups import Wakeups
from stoker.system import SystemClock, SystemRandomness

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.settings import Settings
    from stoker.store.database import Database


def limits_of(settings: Settings) -> Limits:
    """The bounds that services keep to."""
    return Limits(
        regions=settings.regions,
        lease_lifetime=timedelta(seconds=settings.lease_seconds),
        build_lifetime=timedelta(hours=settings.build_hours),
        max_projects=settings.max_projects,
        max_project_tokens=settings.max_project_tokens,
        connection_hold=timedelta(seconds=settings.connection_hold_seconds),
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


def open_core(settings: Settings, database: Database) -> Core:
    """What every service needs, on the real clock."""
    return Core(
        database=database,
        clock=SystemClock(),
        randomness=SystemRandomness(),
        wakeups=Wakeups(),
        limits=limits_of(settings),
        admission=Admission(),
    )


def process_runtime(settings: Settings, server_id: str, buildkitd: Path) -> ProcessRuntime:
    """The runtime that runs machines as processes of this host."""
    return ProcessRuntime(
        ProcessRuntimeConfig(
            server_id=server_id,
            data=settings.data,
            buildkitd=buildkitd,
            network_pool=IPv4Network(settings.network_pool),
            max_parallelism=settings.max_parallelism or None,
            log_bytes=settings.max_log_bytes,
        )
    )
