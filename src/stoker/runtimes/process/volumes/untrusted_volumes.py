"""Caps of the volumes of untrusted builds, which follow what is free: see `stoker.domain.volume_caps`."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from stoker.domain.volume_caps import Fill, UntrustedVolume, allowances, caps
from stoker.runtimes.errors import VolumeFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stoker.runtimes.process.volumes.volumes import Volumes


class UntrustedVolumes:
    """The volumes of untrusted builds of one volume store.

    To count what is in them, the file system is committed. So they are counted only when volumes came or went, and when
    the free space no longer covers what they may write.
    """

    def __init__(self, volumes: Callable[[], Volumes], free: Callable[[], int], share: float, headroom: int) -> None:
        """Begin with none.

        Args:
            volumes: where volumes are kept now.
            free: the bytes that builds of others leave to them.
            share: the part of it that they may take.
            headroom: what a volume may hold above its project's cache policy.
        """
        self._volumes = volumes
        self._free = free
        self._share = share
        self._headroom = headroom
        self._known: dict[str, UntrustedVolume] = {}
        self._fills: tuple[Fill, ...] = ()
        self._caps: dict[str, int] = {}
        self._counting = threading.Lock()

    def add(self, volume: UntrustedVolume) -> None:
        """Cap a new volume, and those that are there by what it leaves. Blocks."""
        with self._counting:
            self._known[volume.volume_id] = volume
            self._cap()

    def keep(self, volumes: Sequence[UntrustedVolume]) -> None:
        """Cap these volumes and know of no others. Blocks."""
        known = {volume.volume_id: volume for volume in volumes}
        with self._counting:
            is_same = known.keys() == self._known.keys()
            self._known = known
            if known and not (is_same and self._is_covered()):
                self._cap()
            elif not known:
                self._fills, self._caps = (), {}

    def holds(self, volume_id: str) -> bool:
        """Whether a volume is one of them, whose cap is decided here."""
        return volume_id in self._known

    def room(self, project_id: str) -> int:
        """How much one more untrusted build of a project could write, in bytes, by the last count. Doesn't block."""
        new = Fill(UntrustedVolume("", project_id, 0), 0, 0)
        return allowances([*self._fills, new], self._free(), self._share)[project_id]

    def _is_covered(self) -> bool:
        """Whether what is free is more than what all of them may still write by their caps."""
        fills = self._count()
        return sum(max(0, self._caps.get(one.volume.volume_id, one.used) - one.used) for one in fills) <= self._free()

    def _count(self) -> list[Fill]:
        found: list[Fill] = []
        for volume in self._known.values():
            with suppress(VolumeFailed):  # it is about to be made, or is gone already
                used, own = self._volumes().fill(volume.volume_id)
                found.append(Fill(volume, used, own))
        return found

    def _cap(self) -> None:
        self._volumes().commit()
        fills = self._count()
        self._fills = tuple(fills)
        self._caps = caps(fills, self._free(), self._share, self._headroom)
        for volume_id, size in self._caps.items():
            with suppress(VolumeFailed):
                self._volumes().cap(volume_id, size)
