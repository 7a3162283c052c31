"""What a runtime must be able to do, and nothing more.

Names of everything that a runtime makes are derived from the server's id and the machine's or volume's id, so that
`Runtime.stop`, `Volumes.delete` and `Runtime.list_owned` work without anything having been remembered.

What not every runtime can do has a protocol of its own (`StepKills`; in `stoker.runtimes.volumes` `Snapshots` and
`Caps`). Whoever wants it asks for it by type: ``isinstance(volumes, Snapshots)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from stoker.domain.privileges import NO_PRIVILEGES, Privileges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stoker.domain.cache_policy import CachePolicy
    from stoker.domain.hardware import MachineSize
    from stoker.domain.machines import Placement
    from stoker.domain.platforms import Platform


@dataclass(frozen=True, slots=True)
class MachineCertificates:
    """What one run of a machine needs for TLS, in PEM: who may call it (``ca``), and what it shows to callers."""

    ca: bytes
    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """All that a runtime needs to start one machine. Its ``size`` is an upper bound: a host gives what it has of it.

    ``untrusted_of`` is the project of the untrusted build that the machine belongs to, if it does.
    """

    machine_id: str
    volume_id: str
    platform: Platform
    size: MachineSize
    cache_policy: CachePolicy
    certificates: MachineCertificates
    privileges: Privileges = NO_PRIVILEGES
    untrusted_of: str | None = None


class Observed(StrEnum):
    """What a look at a machine found. UNKNOWN is not ABSENT: the look itself failed."""

    RUNNING = "running"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Owned:
    """Ids of the machines and volumes of which anything is left on the runtime.

    ``volumes`` is None while the place that has them can't be read.
    """

    machines: frozenset[str]
    volumes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Ending:
    """What is known of why a machine ended by itself.

    ``damage`` is what its BuildKit said of a volume that it can't use, or of which it lost a part; ``out_of_memory``
    that its BuildKit was killed because memory ran out.
    """

    damage: str | None = None
    out_of_memory: bool = False


class Runtime(Protocol):
    """Where machines run."""

    def start(self, spec: MachineSpec) -> AsyncIterator[Placement]:
        """Start a machine, yielding what is to be remembered each time there is more of it.

        Nothing may be running for ``spec.machine_id`` (call `stop` first when unsure). When it raises, or is closed
        half-way, the caller calls `stop`; start itself need not clean up.

        It may wait for as long as its machine needs, and the caller bounds that. When there is no room for the
        machine, though there can be later, it says so instead of waiting.

        Raises:
            MachineStartFailed: with a text for the operator.
            NoRoomYet: there is no room for it now. No failure is counted, and it is tried again.
        """
        ...

    async def stop(self, machine_id: str, grace_seconds: float) -> bool:
        """Stop a machine and remove all of it but its volume. A machine that is absent is a success.

        buildkitd gets ``grace_seconds`` to end by itself (so that it writes its cache database); 0 kills at once.

        Returns:
            Whether it was asked to end and did, so that its volume is whole.

        Raises:
            MachineStopFailed: something is left; call again.
        """
        ...

    async def observe(self, machine_id: str, placement: Placement | None) -> Observed:
        """Look whether the machine is there now."""
        ...

    async def wait_exit(self, machine_id: str, placement: Placement) -> None:
        """Return when the machine is no longer running, started by this process or by one before it."""
        ...

    async def why_ended(self, machine_id: str) -> Ending:
        """Why a machine that nobody stopped isn't running; to be asked before `stop`, which removes the traces.

        Of one that runs, what it said of damage.
        """
        ...

    async def list_owned(self) -> Owned:
        """All that is left here of this server, whoever started it."""
        ...


@runtime_checkable
class StepKills(Protocol):
    """A runtime that notices when a step is killed."""

    async def wait_step_killed(self, machine_id: str) -> None:
        """Return when a step of a machine that runs is killed because memory ran out.

        Never returns when there is no such machine, or when this can't be known.
        """
        ...
