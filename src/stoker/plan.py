"""What the supervisor decided for this run, handed to the API process as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stoker.pki.private_files import write_private
from stoker.settings.addresses import HostPort, parse_host_port
from stoker.settings.effective import Settings

PLAN_VARIABLE = "STOKER_PLAN"


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """The settings, and all that was open in them. ``found`` is what each site found when it was prepared."""

    settings: Settings
    server_id: str
    public_url: str
    gateway_address: str
    buildkitd: Path
    container_runtime: Path
    metrics: HostPort | None = None
    found: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    @property
    def control_socket(self) -> Path:
        """The Unix socket on which the API process answers the gateway and the supervisor."""
        return control_socket(self.settings)


def database_file(settings: Settings) -> Path:
    """Where the database of a data folder is, for settings that name no other."""
    return settings.server.data / "stoker.db"


def control_socket(settings: Settings) -> Path:
    """The Unix socket on which the API process of a data folder answers the gateway and the supervisor."""
    return settings.server.data / "run" / "control.sock"


def solves_log_file(settings: Settings) -> Path:
    """Where the gateway logs which connection each solve takes."""
    return settings.server.data / "logs" / "solves.log"


def write_plan(plan: ServerPlan, path: Path) -> None:
    """Write a plan to a file that only this user may read."""
    content = {
        "settings": plan.settings.by_name(),
        "server_id": plan.server_id,
        "public_url": plan.public_url,
        "gateway_address": plan.gateway_address,
        "buildkitd": str(plan.buildkitd),
        "container_runtime": str(plan.container_runtime),
        "metrics": None if plan.metrics is None else str(plan.metrics),
        "found": {name: dict(found) for name, found in plan.found.items()},
    }
    write_private(path, json.dumps(content).encode())


def read_plan(path: Path) -> ServerPlan:
    """Read what `write_plan` wrote."""
    content = json.loads(path.read_text())
    return ServerPlan(
        settings=Settings.of(content["settings"]),
        server_id=content["server_id"],
        public_url=content["public_url"],
        gateway_address=content["gateway_address"],
        buildkitd=Path(content["buildkitd"]),
        container_runtime=Path(content["container_runtime"]),
        metrics=None if content["metrics"] is None else parse_host_port(content["metrics"]),
        found=content["found"],
    )
