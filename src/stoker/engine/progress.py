"""Progress of downloading and building the engine."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Phase(StrEnum):
    """A phase; the value is meant for people."""

    WAITING = "waiting for another process that is getting the engine"
    TOOLCHAIN = "getting Go"
    MODULES = "downloading the engine's modules"
    COMPILING = "compiling the engine"
    RUNC_MODULES = "downloading runc's modules"
    COMPILING_RUNC = "compiling runc"
    BUILDCTL_MODULES = "downloading buildctl's modules"
    COMPILING_BUILDCTL = "compiling buildctl"
    ARCHIVE = "downloading the engine"
    CHECKING = "checking the engine"

    @property
    def unit(self) -> str:
        """What ``done`` and ``total`` count in this phase; empty when nothing is counted."""
        return _UNITS.get(self, "")


_UNITS = {
    Phase.MODULES: "modules",
    Phase.COMPILING: "packages",
    Phase.RUNC_MODULES: "modules",
    Phase.COMPILING_RUNC: "packages",
    Phase.BUILDCTL_MODULES: "modules",
    Phase.COMPILING_BUILDCTL: "packages",
    Phase.ARCHIVE: "bytes",
}


class Progress(Protocol):
    """A receiver of progress. It is called on the event loop's thread, several times a second, so it must be fast."""

    def report(self, phase: Phase, done: int, total: int | None) -> None:
        """``done`` of ``total`` (None: not known, or nothing to count) of this phase are finished."""
        ...
