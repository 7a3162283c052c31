"""The configuration of a machine's engine (BuildKit's docs/buildkitd.toml.md), whatever runs the machine.

What depends on the machine and its project is decided here, so that it is the same in every runtime. A runtime adds
the paths, and how steps run and connect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import tomli_w

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePath

    from stoker.runtimes.contract import MachineSpec

_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSurroundings:
    """The part of an engine's configuration that depends on the runtime. Paths are those that the engine sees.

    Attributes:
        volume: where the machine's volume is.
        address: where the engine listens, such as ``tcp://127.0.0.1:4000``.
        ca: who may call it, in PEM.
        certificate: what it shows to callers, in PEM.
        key: the key of that.
        tracing_socket: its own socket for traces of steps.
        steps: how its worker runs and connects steps: entries of ``[worker.oci]``.
        name_servers: what steps and the engine ask for names; empty for the host's own.
    """

    volume: PurePath
    address: str
    ca: PurePath
    certificate: PurePath
    key: PurePath
    tracing_socket: PurePath
    steps: Mapping[str, object] = field(default_factory=dict[str, object])
    name_servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineBounds:
    """How much an engine does at once and keeps.

    Attributes:
        min_free_bytes: what is to stay free on the volume's disk; it drops cache for that.
        max_parallelism: steps that run at once; None for as many as the machine has CPUs.
        history_entries: how many builds it keeps its own record of.
        history_seconds: how long it does so.
    """

    min_free_bytes: int
    max_parallelism: int | None = None
    history_entries: int
    history_seconds: int


def engine_config(spec: MachineSpec, given: EngineSurroundings, bounds: EngineBounds) -> str:
    """The text of buildkitd.toml."""
    platforms = [str(spec.platform)]
    worker: dict[str, object] = {
        "enabled": True,
        # Its own probe: overlayfs where the volume's file system can, else native.
        "snapshotter": "auto",
        **given.steps,
        "max-parallelism": bounds.max_parallelism or spec.size.cpus,
        "gc": True,
        "gcpolicy": _cache_rules(spec, bounds.min_free_bytes),
        # What it offers first. It adds what else runs here when somebody asks.
        "platforms": platforms,
    }
    # Otherwise the host's own, read again whenever they change.
    names = {"dns": {"nameservers": list(given.name_servers)}} if given.name_servers else {}
    return tomli_w.dumps(
        {
            **names,
            "root": str(given.volume),
            "insecure-entitlements": sorted(spec.privileges.entitlements),
            "grpc": {
                "address": [given.address],
                "tls": {
                    "cert": str(given.certificate),
                    "key": str(given.key),
                    # With a CA given, buildkitd asks every caller for a certificate signed by it.
                    "ca": str(given.ca),
                },
            },
            "otel": {"socketPath": str(given.tracing_socket)},
            "cdi": {"disabled": True},
            "history": {"maxAge": f"{bounds.history_seconds}s", "maxEntries": bounds.history_entries},
            "worker": {"oci": worker, "containerd": {"enabled": False, "platforms": platforms}},
        }
    )


def _cache_rules(spec: MachineSpec, min_free_bytes: int) -> list[dict[str, object]]:
    """Two rules, one for each limit. A single rule with both would drop only what is old and also over the cap."""
    days = spec.cache_policy.keep_days
    # A rule that keeps things for no time at all would drop everything.
    by_age: list[dict[str, object]] = [{"all": True, "keepDuration": f"{days * _DAY_SECONDS}s"}] if days else []
    by_size = {"maxUsedSpace": spec.cache_policy.keep_bytes, "minFreeSpace": min_free_bytes}
    return [*by_age, {"all": True, **by_size}]
