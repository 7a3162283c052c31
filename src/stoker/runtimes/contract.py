"""What every runtime must be able to do.

A runtime derives the names of all that it makes from the server's id and the machine's or volume's id. So
`Runtime.stop`, `Volumes.delete` and `Runtime.list_owned` need no stored state.

Optional capabilities have protocols of their own (`StepKills`; in `stoker.runtimes.volumes` `Snapshots` and `Caps`).
Callers check for them by type: ``isinstance(volumes, Snapshots)``.
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
    """All that a runtime needs to start one machine. ``size`` is an upper bound: a smaller host gives all that it has.

    ``untrusted_of`` is the project, for the machine of an untrusted build.
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
    """The observed state of a machine. UNKNOWN is not ABSENT: the machine could not be observed."""

    RUNNING = "running"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Owned:
    """Ids of the machines and volumes that the runtime has, even in part.

    ``volumes`` is None while the volume store can't be read.
    """

    machines: frozenset[str]
    volumes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a machine ended by itself, as far as it is known.

    ``damage`` is BuildKit's message about a damaged volume. ``out_of_memory`` says that BuildKit was killed because
    memory ran out.
    """

    damage: str | None = None
    out_of_memory: bool = False


class Runtime(Protocol):
    """Where machines run."""

    def start(self, spec: MachineSpec) -> AsyncIterator[Placement]:
        """Start a machine. Yields its placement each time that more of it is known, for the caller to store.

        Nothing may be running for ``spec.machine_id`` (call `stop` first when unsure). When it raises, or is closed
        half-way, the caller calls `stop`; start itself need not clean up.

        The caller sets a deadline. When there is no room for the machine now but can be later, start raises `NoRoomYet`
        and doesn't wait.

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
        """Return when the machine no longer runs. An earlier process may have started it."""
        ...

    async def why_ended(self, machine_id: str) -> Ending:
        """Why a machine that nobody stopped isn't running. Call it before `stop`, which removes the evidence.

        For a machine that runs, the damage that it reported.
        """
        ...

    async def list_owned(self) -> Owned:
        """All of this server's machines and volumes here, whichever process started them."""
        ...


@runtime_checkable
class StepKills(Protocol):
    """A runtime that notices when a step is killed."""

    async def wait_step_killed(self, machine_id: str) -> None:
        """Return when a step of a machine that runs is killed because memory ran out.

        Never returns when there is no such machine, or when this can't be known.
        """
        ...
