"""What keeps volumes must be able to do, and what some can do besides. See `stoker.runtimes.contract`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.domain.cache_policy import CachePolicy
    from stoker.domain.volume_caps import UntrustedVolume


class Volumes(Protocol):
    """Where volumes are kept. `Runtime.start` makes those that it needs."""

    async def delete(self, volume_id: str) -> None:
        """Destroy a volume's data. A volume that is absent is a success.

        Raises:
            VolumeDeleteFailed: something is left; call again.
        """
        ...

    async def size(self, volume_id: str) -> int:
        """The bytes that a volume takes on disk now. One that is absent takes none.

        It may take minutes. Any number may be asked for at once; few are measured at a time.

        Raises:
            VolumeNotMeasured: it can't be told; ask again later.
        """
        ...


@runtime_checkable
class Snapshots(Protocol):
    """Volumes that can be copied, and saved as they are now."""

    async def snapshot(self, volume_id: str, new_volume_id: str) -> None:
        """Make a new volume with what another has in it now. The other may be in use. It may take minutes.

        Raises:
            SnapshotsUnsupported: volumes are kept in a way that has none.
            VolumeFailed: there is no such volume, or it could not be done.
        """
        ...

    async def save(self, volume_id: str) -> None:
        """Remember a volume that no machine uses as good, instead of how it was remembered before.

        Where there are no snapshots nothing is remembered.

        Raises:
            VolumeFailed: it could not be done.
        """
        ...

    async def can_restore(self, volume_id: str) -> bool:
        """Whether `save` has remembered something that `restore` could put in a volume's place.

        Raises:
            VolumeFailed: it can't be told.
        """
        ...

    async def restore(self, volume_id: str) -> bool:
        """Set a damaged volume that no machine uses aside, and put what `save` remembered in its place.

        What was remembered is used up: when that is damaged too, the next call leaves nothing, and the next start has
        an empty volume. What was set aside goes with the volume, or when it is replaced, or when space is short.

        Returns:
            Whether something had been remembered.

        Raises:
            VolumeFailed: it could not be done.
        """
        ...


@runtime_checkable
class Caps(Protocol):
    """Volumes whose sizes can be bounded while they are used."""

    async def settle(self, volume_id: str, policy: CachePolicy, *, fresh: bool) -> bool:
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

    async def bound(self, untrusted: Sequence[UntrustedVolume]) -> None:
        """Bound what untrusted builds write by what is free now; to be called again and again while there are any.

        Args:
            untrusted: the volumes of all such builds.

        Raises:
            VolumeFailed: it could not be done.
        """
        ...
