"""What a runtime must be able to do, and nothing more.

Names of everything that a runtime makes are derived from the server's id and the machine's or volume's id, so that
`stop`, `delete_volume` and `list_owned` work without anything having been remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from stoker.domain.privileges import NO_PRIVILEGES, Privileges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from stoker.domain.cache_policy import CachePolicy
    from stoker.domain.hardware import MachineSize
    from stoker.domain.machines import Placement
    from stoker.domain.platforms import Platform
    from stoker.domain.volume_caps import UntrustedVolume


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

    def platforms(self) -> frozenset[Platform]:
        """The platforms that machines can be started for here, natively or emulated."""
        ...

    def emulated(self) -> frozenset[Platform]:
        """The platforms among them whose programs are emulated here, which takes many times as long."""
        ...

    def start(self, spec: MachineSpec) -> AsyncIterator[Placement]:
        """Start a machine, yielding what is to be remembered each time there is more of it.

        Nothing may be running for ``spec.machine_id`` (call `stop` first when unsure). When it raises, or is closed
        half-way, the caller calls `stop`; start itself need not clean up.

        Raises:
            MachineStartFailed: with a text for the operator.
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

    async def wait_step_killed(self, machine_id: str) -> None:
        """Return when a step of a machine that runs is killed because memory ran out.

        Never returns when there is no such machine, or when this can't be known.
        """
        ...

    async def list_owned(self) -> Owned:
        """All that is left here of this server, whoever started it."""
        ...

    async def delete_volume(self, volume_id: str) -> None:
        """Destroy a volume's data. A volume that is absent is a success.

        Raises:
            VolumeDeleteFailed: something is left; call again.
        """
        ...

    async def volume_size(self, volume_id: str) -> int:
        """The bytes that a volume takes on disk now. One that is absent takes none.

        It may take minutes. Any number may be asked for at once; the runtime looks at few at a time.

        Raises:
            VolumeNotMeasured: it can't be told; ask again later.
        """
        ...

    async def snapshot_volume(self, volume_id: str, new_volume_id: str) -> None:
        """Make a new volume with what another has in it now, in an instant. The other may be in use.

        Raises:
            SnapshotsUnsupported: this runtime keeps volumes in a way that has none.
            VolumeFailed: there is no such volume, or it could not be done.
        """
        ...

    async def settle_volume(self, volume_id: str, policy: CachePolicy, *, fresh: bool) -> bool:
        """Set the cap of a volume that a machine uses by what is in it: its policy and the headroom, or a little more.

        More where that is nearly reached, for BuildKit has to write before it can drop anything. So it is called
        before housekeeping, and after it to take the rest back; never while builds are there, which would use it up.

        Args:
            volume_id: the volume.
            policy: what is to be kept of it.
            fresh: count what is in it at this very moment, which takes longer, instead of half a minute ago.

        Returns:
            Whether it is nearly full.

        Raises:
            VolumeFailed: it could not be done.
        """
        ...

    async def bound_volumes(self, untrusted: Sequence[UntrustedVolume]) -> None:
        """Bound what untrusted builds write by what is free now; to be called again and again while there are any.

        Args:
            untrusted: the volumes of all such builds.

        Raises:
            VolumeFailed: it could not be done.
        """
        ...

    async def save_volume(self, volume_id: str) -> None:
        """Remember a volume that no machine uses as good, instead of how it was remembered before.

        A runtime without snapshots remembers nothing.

        Raises:
            VolumeFailed: it could not be done.
        """
        ...

    async def can_restore_volume(self, volume_id: str) -> bool:
        """Whether `save_volume` has remembered something that `restore_volume` could put in a volume's place.

        Raises:
            VolumeFailed: it can't be told.
        """
        ...

    async def restore_volume(self, volume_id: str) -> bool:
        """Set a damaged volume that no machine uses aside, and put what `save_volume` remembered in its place.

        What was remembered is used up: when that is damaged too, the next call leaves nothing, and the next start has
        an empty volume. What was set aside goes with the volume, or when it is replaced, or when space is short.

        Returns:
            Whether something had been remembered.

        Raises:
            VolumeFailed: it could not be done.
        """
        ...

    def shortage(self, untrusted_of: str | None = None) -> str | None:
        """Why no more builds can be taken now, for those who want one; None while there is space. Takes no time."""
        ...
