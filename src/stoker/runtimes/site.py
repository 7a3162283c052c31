"""A site: a place with a runtime, volumes, and what surrounds them. Each region is at one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.domain.hardware import MachineSize
    from stoker.domain.host import Finding
    from stoker.domain.platforms import Platform
    from stoker.runtimes.contract import Runtime
    from stoker.runtimes.volumes import Volumes


@dataclass(frozen=True, slots=True)
class Room:
    """There is room for a machine now."""


@dataclass(frozen=True, slots=True)
class Later:
    """There is no room now, but there can be later. Users see the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Never:
    """There is never room, as the site is now. Users see the reason."""

    reason: str


Capacity: TypeAlias = Room | Later | Never


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `Site.prepare` found out.

    Attributes:
        lacking: what the site lacks and machines can do without: a line each, for the operator.
        found: what another process has to know that opens the same site. Only the site reads it.
    """

    lacking: tuple[str, ...] = ()
    found: Mapping[str, str] = field(default_factory=dict[str, str])


class Site(Protocol):
    """Where machines run, and what they share there.

    A server checks its sites, reclaims space, and prepares them before it takes builds; it tends them while it runs,
    and releases them when it stops.
    """

    @property
    def runtime(self) -> Runtime:
        """What runs machines here."""
        ...

    @property
    def volumes(self) -> Volumes:
        """What keeps their volumes."""
        ...

    @property
    def platforms(self) -> frozenset[Platform]:
        """The platforms that machines can be started for now, natively or emulated. They may change."""
        ...

    @property
    def emulated(self) -> frozenset[Platform]:
        """The platforms among them whose programs are emulated, which takes many times as long."""
        ...

    @property
    def largest_machine(self) -> MachineSize | None:
        """The largest size that a machine can be given; None when nothing bounds it."""
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Check everything that machines need here. Changes nothing, and takes a fraction of a second."""
        ...

    async def reclaim(self) -> None:
        """Free space where it is short, before the server starts anything else.

        Raises:
            HostUnfit: it can't be done; the text says what to do.
        """
        ...

    async def prepare(self) -> Prepared:
        """Make what all machines share. A later call repairs it.

        Raises:
            HostUnfit: machines can't run safely here; the text says what is missing.
        """
        ...

    async def tend(self) -> None:
        """Keep what machines share in order: their logs, the space for volumes. Call it at intervals.

        Raises:
            RuntimeFailed: it could not be done; call again.
        """
        ...

    async def release(self) -> None:
        """Kill this server's machines at once and remove everything of it but volumes and kept logs.

        Raises:
            MachineStopFailed: something is left; call again.
        """
        ...

    async def capacity(self, platform: Platform, size: MachineSize) -> Capacity:
        """Whether a machine could be started now. `Runtime.start` may still find that there is no room."""
        ...

    def shortage(self, untrusted_of: str | None = None) -> str | None:
        """Why no more builds can be taken now, for users. None while they can. Doesn't block.

        Args:
            untrusted_of: the project of an untrusted build, for which there may be no space while there is for others.
        """
        ...
