"""`stoker engine`: which BuildKit this is, and how it was got."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stoker.settings import Settings


@dataclass
class _Engine:
    buildkitd: Path
    buildctl: Path


def require_engine(settings: Settings) -> _Engine:
    folder = settings.engine_folder
    assert folder
    return _Engine(folder / "buildkitd", folder / "buildctl")
