"""The programs that machines run: BuildKit, and runc or crun."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from stoker.settings.group import STRICT, absolute


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EngineSettings:
    """The programs that machines run: BuildKit, and runc or crun."""

    engine_folder: Path | None = Field(default=None, description="Folder with buildkitd and buildctl to use.")
    engine_url: str = Field(default="", description="BuildKit release archive to download instead of building it.")
    engine_sha256: str = Field(default="", description="SHA-256 of that archive.")
    container_runtime: Path | None = Field(
        default=None,
        description="runc or crun to use; otherwise this host's, or where that has known holes one built here.",
    )

    _absolute = field_validator("engine_folder", "container_runtime")(absolute)
