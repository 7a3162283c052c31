"""Opens the site that settings ask for. The only module that names the classes of a kind of runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from stoker.runtimes.process.config import ProcessRuntimeConfig, StoreKind, UserNamespaces
from stoker.runtimes.process.process_site import USER_NAMESPACES, ProcessSite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from stoker.runtimes.site import Site
    from stoker.settings.process_runtime import ProcessRuntimeSettings


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """The programs that machines run, as files of this host. ``container_runtime`` is needed to start a machine."""

    buildkitd: Path
    container_runtime: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteGiven:
    """What a server gives a site, of whatever kind.

    Attributes:
        server_id: names the site; no other site has it, of this server or another one.
        data: a folder of this host that is the site's own.
        engine: what machines run.
        log_bytes: the bound of a running machine's log.
        found: what `Site.prepare` found out in another process.
    """

    server_id: str
    data: Path
    engine: EngineFiles
    log_bytes: int
    found: Mapping[str, str] = field(default_factory=dict[str, str])


def open_site(settings: ProcessRuntimeSettings, given: SiteGiven) -> Site:
    """The site that settings ask for. Their class says which kind of runtime it has."""
    user_namespaces = given.found.get(USER_NAMESPACES, settings.user_namespaces)
    return ProcessSite(
        ProcessRuntimeConfig(
            server_id=given.server_id,
            data=given.data,
            buildkitd=given.engine.buildkitd,
            container_runtime=given.engine.container_runtime,
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
            log_bytes=given.log_bytes,
            max_cpus=settings.max_machine_cpus,
            max_memory_bytes=settings.max_machine_memory_bytes,
            max_processes=settings.max_processes,
            volume_store=StoreKind(settings.volume_store),
            volume_image_bytes=settings.volume_image_bytes,
            volume_headroom_bytes=settings.volume_headroom_bytes,
            untrusted_disk_percent=settings.untrusted_disk_percent,
            min_free_bytes=settings.min_free_bytes,
            min_free_percent=settings.min_free_percent,
            user_namespaces=UserNamespaces(user_namespaces),
            first_id=settings.first_user_id,
            id_ranges=settings.max_user_id_ranges,
        )
    )
