"""Chooses how volumes are kept on this host, and watches the space that is left for them."""

from __future__ import annotations

import logging
import os
import shutil
from typing import TYPE_CHECKING

from stoker.domain.volume_caps import UntrustedVolume
from stoker.runtimes.errors import HostUnfit, RuntimeFailed
from stoker.runtimes.process.config import StoreKind
from stoker.runtimes.process.volumes import btrfs
from stoker.runtimes.process.volumes.subvolumes import SubvolumeVolumes
from stoker.runtimes.process.volumes.untrusted_volumes import UntrustedVolumes
from stoker.runtimes.process.volumes.volume_image import VolumeImage
from stoker.runtimes.process.volumes.volumes import DirectoryVolumes, names_in

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.runtimes.process.config import ProcessRuntimeConfig
    from stoker.runtimes.process.volumes.volumes import OpenVolume, Volumes

HOUSEKEEPING_FACTOR = 2
"""Housekeeping drops cache long before builds have to be refused: while this many times the reserve is free."""

_GIGABYTE = 1000**3
_ROOM_FOR_UNTRUSTED = 256 * 1024**2
_LOST = "so caches have no hard cap and no snapshots to go back to, and deleting one takes as long as it is large"

_log = logging.getLogger(__name__)


class VolumeStore:
    """The place of one server's volumes: the folder ``volumes`` in its data folder, whatever is behind it.

    What AUTO chose is read from the disk each time: there is an image, or there is none.
    """

    def __init__(self, config: ProcessRuntimeConfig) -> None:
        self._config = config
        self._folder = config.data / "volumes"
        self._file = config.data / "volumes.btrfs"
        self._image = VolumeImage(self._file, self._folder)
        share, headroom = config.untrusted_disk_percent / 100, config.volume_headroom_bytes
        self.untrusted = UntrustedVolumes(self.volumes, self._free_for_untrusted, share, headroom)

    def prepare(self) -> tuple[str, ...]:
        """Make and mount what is missing. Returns what the operator should know, a line each.

        Raises:
            HostUnfit: what the settings ask for can't be had here.
        """
        kind = self._config.volume_store
        if kind is StoreKind.AUTO:
            return self._prepare_automatically()
        if kind is not StoreKind.IMAGE and self._image.exists():
            raise HostUnfit(
                f"volume_store is {kind}, but caches are in {self._file}; set it to {StoreKind.IMAGE}, "
                "or delete that file, and the caches with it"
            )
        if kind is StoreKind.DIRECTORY:
            return ()
        if not self._image.exists():
            self._require_no_directories(kind)
        try:
            if kind is StoreKind.IMAGE:
                self._mount(self._config.volume_image_bytes)
            else:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                btrfs.enable_quotas(self._folder)
        except (RuntimeFailed, OSError) as error:
            raise HostUnfit(f"volume_store is {kind}, which can't be had here: {error}{self._hint()}") from error
        return ()

    def give_back(self) -> None:
        """When the disk is short of space, trim the image before anything needs the space.

        Raises:
            HostUnfit: the image can't be mounted.
        """
        if not self._image.exists() or not self._is_disk_short():
            return
        was_mounted = self._image.is_mounted()
        try:
            self._mount(0)
        except (RuntimeFailed, OSError) as error:
            raise self._unmountable(error) from error
        if not was_mounted:
            self.release()

    def release(self) -> None:
        """Unmount what `prepare` mounted, unless something still uses it."""
        if not self._image.unmount():
            _log.warning("%s is still in use and stays mounted; the next start takes it over", self._folder)

    def volumes(self) -> Volumes:
        """The volumes, as they are kept here."""
        if self._config.volume_store is StoreKind.BTRFS:
            return SubvolumeVolumes(self._folder, self._config.volume_headroom_bytes, self._is_btrfs)
        if self._image.exists():
            return SubvolumeVolumes(self._folder, self._config.volume_headroom_bytes, self._image.is_mounted)
        return DirectoryVolumes(self._folder)

    def reserve(self) -> int:
        """How many bytes are to stay free where volumes are."""
        return self._reserve_of(self._folder if self._folder.exists() else self._config.data)

    def open(self, volume_id: str, keep_bytes: int, *, untrusted_of: str | None) -> OpenVolume:
        """A volume, made on first use and capped: see `Volumes.open`.

        Args:
            volume_id: the volume.
            keep_bytes: what its policy keeps.
            untrusted_of: the project of the untrusted build whose volume it is, which is capped by what is free too.
        """
        opened = self.volumes().open(volume_id, keep_bytes)
        if untrusted_of is not None:
            self.untrusted.add(UntrustedVolume(volume_id, untrusted_of, keep_bytes))
        return opened

    def settle(self, volume_id: str, keep_bytes: int, *, fresh: bool) -> bool:
        """Set a volume's cap: see `Volumes.settle`. Volumes of untrusted builds keep theirs."""
        return not self.untrusted.holds(volume_id) and self.volumes().settle(volume_id, keep_bytes, fresh=fresh)

    def shortage(self, untrusted_of: str | None = None) -> str | None:
        """Why no build can be taken now, for those who ask for one; None while there is space.

        Args:
            untrusted_of: the project of an untrusted build, for which there may be no space while there is for others.
        """
        problem = self._shortage()
        if problem is not None or untrusted_of is None or not self._folder.is_dir():
            return problem
        room = self.untrusted.room(untrusted_of)
        if room >= min(self._config.volume_headroom_bytes, _ROOM_FOR_UNTRUSTED):
            return None
        return (
            f"untrusted builds of this project may write {room / _GIGABYTE:.1f} GB more to the server's volume store, "
            "which is too little for another one; try again when some have ended"
        )

    def _free_for_untrusted(self) -> int:
        """What is free beyond what BuildKit keeps free by dropping others' caches, so that no other build notices."""
        state = os.statvfs(self._folder)
        return state.f_bavail * state.f_frsize - HOUSEKEEPING_FACTOR * self._reserve_of(self._folder)

    def _shortage(self) -> str | None:
        for name, folder in (("volume store", self._folder), ("data folder", self._config.data)):
            try:
                state = os.statvfs(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                return f"the server's {name} can't be used ({error.strerror}); its operator has to look after it"
            if state.f_flag & os.ST_RDONLY:
                return f"the server's {name} is read-only since an error; its operator has to look after its disk"
            free, reserve = state.f_bavail * state.f_frsize, self._reserve_of(folder)
            if free < reserve:
                left = f"{free / _GIGABYTE:.1f} GB free, less than the {reserve / _GIGABYTE:.1f} GB that it keeps"
                return f"the server's {name} has {left}; try again later, or reset caches that are not needed"
        return None

    def tend(self, *, in_use: bool) -> None:
        """Repair what can be repaired: free space when it is short, remount what became read-only.

        Args:
            in_use: whether there are machines.
        """
        if self.shortage() is None:
            return
        if self._image.exists() and os.statvfs(self._folder).f_flag & os.ST_RDONLY:
            if not in_use and self._image.unmount():
                self._mount(0)
                _log.warning("the volume store had become read-only and was mounted again")
            return
        dropped = self.volumes().reclaim()
        if dropped:
            _log.warning("space is short: dropped %d snapshots and damaged volumes", dropped)

    def _prepare_automatically(self) -> tuple[str, ...]:
        if self._image.exists():
            try:
                self._mount(self._config.volume_image_bytes)
            except (RuntimeFailed, OSError) as error:
                raise self._unmountable(error) from error
            return ()
        if names_in(self._folder):
            return (f"volumes are the directories in {self._folder}, {_LOST}; see volume_store in docs/operating.md",)
        try:
            self._mount(self._config.volume_image_bytes)
        except (RuntimeFailed, OSError) as error:
            self._image.unmount()
            self._file.unlink(missing_ok=True)
            return (f"volumes are directories, as a btrfs image can't be mounted here ({error}), {_LOST}",)
        return ()

    def _mount(self, size: int) -> None:
        if self._image.is_mounted() and os.statvfs(self._folder).f_flag & os.ST_RDONLY:
            self._image.unmount()
        self._image.mount(size)
        # Before anything is written: what an image lost when its disk was full is still taken there, and while nothing
        # can be written, btrfs may be damaged for good by what it believes to have written.
        if self._is_disk_short():
            self._image.trim()
        btrfs.enable_quotas(self._folder)

    def _unmountable(self, error: Exception) -> HostUnfit:
        return HostUnfit(
            f"the caches in {self._file} can't be mounted: {error}{self._hint()}; put that right, "
            "or delete the file, and the caches with it"
        )

    def _hint(self) -> str:
        return " (its disk is nearly full: make space there first)" if self._is_disk_short() else ""

    def _is_disk_short(self) -> bool:
        return shutil.disk_usage(self._config.data).free < self._reserve_of(self._config.data)

    def _require_no_directories(self, kind: StoreKind) -> None:
        names = names_in(self._folder)
        if names and not all(btrfs.is_subvolume(self._folder / name) for name in names):
            raise HostUnfit(
                f"volume_store is {kind}, but {self._folder} has volumes that are directories; set it to "
                f"{StoreKind.DIRECTORY}, or delete them, and the caches with them"
            )

    def _is_btrfs(self) -> bool:
        try:
            btrfs.file_system_id(self._folder)
        except OSError:
            return False
        return True

    def _reserve_of(self, folder: Path) -> int:
        state = os.statvfs(folder)
        part = int(state.f_blocks * state.f_frsize * self._config.min_free_percent / 100)
        return min(self._config.min_free_bytes, part)
