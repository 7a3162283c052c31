"""`stoker.runtimes.volumes` on this host, with snapshots and caps as far as its file system has them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from stoker.runtimes.errors import VolumeFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stoker.domain.cache_policy import CachePolicy
    from stoker.domain.volume_caps import UntrustedVolume
    from stoker.runtimes.process.volumes.volume_store import VolumeStore
    from stoker.runtimes.process.volumes.volumes import Volumes

_DELETES_AT_ONCE = 2
_MEASURES_AT_ONCE = 1

T = TypeVar("T")


class ProcessVolumes:
    """The volumes of a server in its data folder."""

    def __init__(self, store: VolumeStore) -> None:
        self._store = store
        # A large volume takes minutes, and starting and stopping need threads too.
        self._deletes = asyncio.Semaphore(_DELETES_AT_ONCE)
        self._measurers = ThreadPoolExecutor(_MEASURES_AT_ONCE, thread_name_prefix="measure")

    async def delete(self, volume_id: str) -> None:
        """Destroy a volume: see `Volumes.delete`."""
        async with self._deletes:
            await asyncio.to_thread(self._store.volumes().delete, volume_id)

    async def size(self, volume_id: str) -> int:
        """Measure a volume's folder: see `Volumes.size`."""
        return await asyncio.get_running_loop().run_in_executor(self._measurers, self._store.volumes().size, volume_id)

    async def snapshot(self, volume_id: str, new_volume_id: str) -> None:
        """Copy a volume, which takes no time: see `Snapshots.snapshot`."""
        await self._with_volumes(lambda volumes: volumes.snapshot(volume_id, new_volume_id))

    async def save(self, volume_id: str) -> None:
        """Take the volume's last good snapshot: see `Snapshots.save`."""
        await self._with_volumes(lambda volumes: volumes.save(volume_id))

    async def can_restore(self, volume_id: str) -> bool:
        """Look for a last good snapshot: see `Snapshots.can_restore`."""
        return await self._with_volumes(lambda volumes: volumes.can_restore(volume_id))

    async def restore(self, volume_id: str) -> bool:
        """Put the last good snapshot in a volume's place: see `Snapshots.restore`."""
        return await self._with_volumes(lambda volumes: volumes.restore(volume_id))

    async def settle(self, volume_id: str, policy: CachePolicy, *, fresh: bool) -> bool:
        """Cap a volume by what it has now: see `Caps.settle`."""
        return await self._with_volumes(lambda _: self._store.settle(volume_id, policy.keep_bytes, fresh=fresh))

    async def bound(self, untrusted: Sequence[UntrustedVolume]) -> None:
        """Cap the volumes of untrusted builds: see `Caps.bound`."""
        await self._with_volumes(lambda _: self._store.untrusted.keep(untrusted))

    async def _with_volumes(self, work: Callable[[Volumes], T]) -> T:
        def done() -> T:
            try:
                return work(self._store.volumes())
            except OSError as error:
                raise VolumeFailed(f"{error.filename}: {error.strerror}") from error

        return await asyncio.to_thread(done)
