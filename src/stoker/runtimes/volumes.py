"""What all kinds of volumes can do, and what only some can. See `stoker.runtimes.contract`."""

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
        """Make a new volume with the content of another one, which may be in use. It may take minutes.

        Raises:
            SnapshotsUnsupported: volumes are kept in a way that has none.
            VolumeFailed: there is no such volume, or it could not be done.
        """
        ...

    async def save(self, volume_id: str) -> None:
        """Save the content of a volume that no machine uses as its last good snapshot, replacing an earlier one.

        Where there are no snapshots, nothing is saved.

        Raises:
            VolumeFailed: it could not be done.
        """
        ...

    async def can_restore(self, volume_id: str) -> bool:
        """Whether there is a snapshot of `save` that `restore` could put in a volume's place.

        Raises:
            VolumeFailed: it can't be told.
        """
        ...

    async def restore(self, volume_id: str) -> bool:
        """Set a damaged volume that no machine uses aside, and put the snapshot of `save` in its place.

        The snapshot is used up. If it is damaged too, the next call leaves nothing, and the next start has an empty
        volume. What was set aside is deleted with the volume, when it is replaced, or when space is short.

        Returns:
            Whether there was a snapshot.

        Raises:
            VolumeFailed: it could not be done.
        """
        ...


@runtime_checkable
class Caps(Protocol):
    """Volumes whose sizes can be bounded while they are used."""

    async def settle(self, volume_id: str, policy: CachePolicy, *, fresh: bool) -> bool:
        """Set the cap of a volume that a machine uses: its policy and the headroom, or a little more.

        It is more when the volume is nearly full, because BuildKit has to write before it can delete anything. So it
        is called before housekeeping, and again after it to lower the cap. It is never called while builds run: they
        would use up the difference.

        Args:
            volume_id: the volume.
            policy: what is to be kept of it.
            fresh: count its size at this moment, which takes longer. Otherwise the size is up to half a minute old.

        Returns:
            Whether it is nearly full.

        Raises:
            VolumeFailed: it could not be done.
        """
        ...

    async def bound(self, untrusted: Sequence[UntrustedVolume]) -> None:
        """Limit what untrusted builds write by the free space of now. Call it at intervals while there are such builds.

        Args:
            untrusted: the volumes of all such builds.

        Raises:
            VolumeFailed: it could not be done.
        """
        ...
