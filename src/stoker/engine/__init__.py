"""Gets, builds and verifies the pinned BuildKit and runc, and keeps them in the user's cache."""

from stoker.engine.archive import Archive
from stoker.engine.buildctl import build_buildctl, find_buildctl
from stoker.engine.container_runtime import (
    ContainerRuntime,
    NotBuiltYet,
    build_runc,
    find_container_runtime,
    lacking_to_build,
)
from stoker.engine.failures import EngineCorrupt, EngineUnavailable
from stoker.engine.floor import FLOOR
from stoker.engine.installed import Engine, Origin, verify_engine
from stoker.engine.obtain import ensure_engine, find_engine, given_engine
from stoker.engine.pin import default_cache
from stoker.engine.progress import Phase, Progress

__all__ = [
    "FLOOR",
    "Archive",
    "ContainerRuntime",
    "Engine",
    "EngineCorrupt",
    "EngineUnavailable",
    "NotBuiltYet",
    "Origin",
    "Phase",
    "Progress",
    "build_buildctl",
    "build_runc",
    "default_cache",
    "ensure_engine",
    "find_buildctl",
    "find_container_runtime",
    "find_engine",
    "given_engine",
    "lacking_to_build",
    "verify_engine",
]
