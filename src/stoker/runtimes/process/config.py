"""Settings of the process runtime, and the shape of the ids that names are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.settings.observing import ObservingSettings
from stoker.settings.process_runtime import ProcessRuntimeSettings

if TYPE_CHECKING:
    from stoker.domain.privileges import Network

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SERVER_ID = re.compile(r"[a-z0-9]{1,16}")
_SETTINGS = ProcessRuntimeSettings()
FIRST_ID = _SETTINGS.first_user_id
"""Ids that neither users nor systemd nor other containers have (systemd's UIDS-GIDS.md)."""


class StoreKind(StrEnum):
    """How volumes are kept.

    AUTO is an image for new data folders and where there is one, and directories where the host can't mount one or the
    data folder has directories already.
    """

    AUTO = "auto"
    IMAGE = "btrfs-image"
    BTRFS = "btrfs"
    DIRECTORY = "directory"


class UserNamespaces(StrEnum):
    """Whether each machine runs in a user namespace of its own: where the host can, never, or else not at all."""

    AUTO = "auto"
    OFF = "off"
    REQUIRE = "require"


_NETWORK_POOL = IPv4Network(_SETTINGS.network_pool)
_VOLUME_STORE = StoreKind(_SETTINGS.volume_store)
_USER_NAMESPACES = UserNamespaces(_SETTINGS.user_namespaces)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRuntimeConfig:
    """Settings of the process runtime. What isn't given has the default of its setting.

    Attributes:
        server_id: names this data folder among others on the host: 1 to 16 digits and lower-case letters.
        data: the data folder; volumes are in ``volumes``, files of running machines in ``machines``.
        buildkitd: the engine.
        container_runtime: runc or crun, with which it runs steps; None for this host's, fit or not.
        network_pool: where machines' subnets come from, as far as the host doesn't use it already.
        subnet_prefix: the size of one machine's subnet; a /25 has room for 125 steps at once.
        ipv6: whether RUN steps get IPv6 where the host has it.
        allowed_networks: private ranges that RUN steps may reach nevertheless.
        denied_networks: other ranges that they may not reach; count before what is allowed.
        max_connections: what a machine's steps, and BuildKit for it, may have in the host's table of connections.
        allow_unisolated: where RUN steps can't be given networks of their own, run them on the host's.
        name_servers: what RUN steps ask for names, instead of the host's own name servers.
        max_parallelism: steps that one machine runs at once; None for as many as its size has CPUs.
        max_cpus: what a machine gets of the host's CPUs at most; 0 for all.
        max_memory_bytes: what it gets of the host's memory at most; 0 for all that can be given.
        max_processes: processes and threads of one machine with all its steps.
        step_log_bytes: what is kept of the output of one step; -1 for all.
        step_log_bytes_per_second: what is kept of it each second; -1 for all.
        volume_store: how volumes are kept: see `StoreKind`.
        volume_image_bytes: the size of the image, or what it is to grow to; 0 for nearly all that is free at first.
        volume_headroom_bytes: what a volume may hold above its project's cache policy, for the builds that run.
        untrusted_disk_percent: the part of what is free that a project's untrusted builds may write.
        min_free_bytes: what is to stay free where volumes are and in the data folder.
        min_free_percent: the same as a part of the disk; the smaller counts.
        history_entries: how many builds buildkitd keeps its own record of.
        history_seconds: how long it does so.
        log_bytes: the bound of a running machine's log.
        kept_log_bytes: what is kept of it when the machine stops.
        kept_logs: of how many machines.
        user_namespaces: whether each machine runs in a user namespace of its own.
        first_id: where the host's ids that machines get begin.
        id_ranges: how many machines may have ids there, 65,536 each.
        run_folder: where servers on one host agree on subnets; must be the same for all of them. Short: where
            /etc can't be written, each machine sees its own folder there, and a socket's path has at most 107 bytes.
    """

    server_id: str
    data: Path
    buildkitd: Path
    container_runtime: Path | None = None
    network_pool: IPv4Network = _NETWORK_POOL
    subnet_prefix: int = 25
    ipv6: bool = _SETTINGS.network_ipv6
    allowed_networks: tuple[Network, ...] = _SETTINGS.allowed_networks
    denied_networks: tuple[Network, ...] = _SETTINGS.denied_networks
    max_connections: int = _SETTINGS.max_machine_connections
    allow_unisolated: bool = _SETTINGS.allow_unisolated
    name_servers: tuple[IPv4Address | IPv6Address, ...] = _SETTINGS.name_servers
    max_parallelism: int | None = _SETTINGS.max_parallelism or None
    max_cpus: int = _SETTINGS.max_machine_cpus
    max_memory_bytes: int = _SETTINGS.max_machine_memory_bytes
    max_processes: int = _SETTINGS.max_processes
    step_log_bytes: int = _SETTINGS.max_step_log_bytes
    step_log_bytes_per_second: int = _SETTINGS.max_step_log_bytes_per_second
    volume_store: StoreKind = _VOLUME_STORE
    volume_image_bytes: int = _SETTINGS.volume_image_bytes
    volume_headroom_bytes: int = _SETTINGS.volume_headroom_bytes
    untrusted_disk_percent: float = _SETTINGS.untrusted_disk_percent
    min_free_bytes: int = _SETTINGS.min_free_bytes
    min_free_percent: float = _SETTINGS.min_free_percent
    history_entries: int = 20
    history_seconds: int = 3600
    log_bytes: int = ObservingSettings().max_log_bytes
    kept_log_bytes: int = 64 * 1024
    kept_logs: int = 200
    user_namespaces: UserNamespaces = _USER_NAMESPACES
    first_id: int = FIRST_ID
    id_ranges: int = _SETTINGS.max_user_id_ranges
    run_folder: Path = Path("/run/stoker")

    def __post_init__(self) -> None:
        if not _SERVER_ID.fullmatch(self.server_id):
            raise ValueError(f"server_id is {self.server_id!r}; give 1 to 16 digits and lower-case letters")
        if not self.network_pool.prefixlen <= self.subnet_prefix <= 29:
            raise ValueError(f"a /{self.subnet_prefix} for each machine does not fit into {self.network_pool}")
        if not self.data.is_absolute() or not self.buildkitd.is_absolute():
            raise ValueError("data and buildkitd must be absolute paths")


def checked_name(value: str) -> str:
    """Return ``value`` when it can be part of a path.

    Raises:
        ValueError: it could lead out of the folder that it is to be in.
    """
    if not _ID.fullmatch(value):
        raise ValueError(f"{value!r} is not an id: digits, lower-case letters and dashes, at most 63")
    return value


def is_name(value: str) -> bool:
    """Whether something found on disk can be an id."""
    return _ID.fullmatch(value) is not None
