"""`stoker.runtimes.site.Site` on this host."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from stoker.domain.host import Finding, Verdict
from stoker.runtimes.folders import nearest_folder
from stoker.runtimes.process.config import UserNamespaces
from stoker.runtimes.process.engine.emulation import native_platform, platforms
from stoker.runtimes.process.host.host_checks import check_host
from stoker.runtimes.process.host.limits import largest_size
from stoker.runtimes.process.process_volumes import ProcessVolumes
from stoker.runtimes.process.runtime import ProcessRuntime
from stoker.runtimes.process.volumes.volume_store import VolumeStore
from stoker.runtimes.site import Never, Prepared, Room

if TYPE_CHECKING:
    from stoker.domain.hardware import MachineSize
    from stoker.domain.platforms import Platform
    from stoker.runtimes.process.config import ProcessRuntimeConfig
    from stoker.runtimes.site import Capacity

USER_NAMESPACES = "user_namespaces"
"""The name under which `Prepared.found` says whether machines have user namespaces of their own."""

_GIGABYTE = 1000**3


class ProcessSite:
    """The machines and volumes of one data folder on this host."""

    def __init__(self, config: ProcessRuntimeConfig) -> None:
        self._config = config
        self._store = VolumeStore(config)
        self.runtime = ProcessRuntime(config, self._store)
        self.volumes = ProcessVolumes(self._store)

    @property
    def platforms(self) -> frozenset[Platform]:
        """The host's own, and the other one when it is emulated: see `Site.platforms`."""
        return platforms()

    @property
    def emulated(self) -> frozenset[Platform]:
        """All but the host's own: see `Site.emulated`."""
        return platforms() - {native_platform()}

    @property
    def largest_machine(self) -> MachineSize | None:
        """What this host has, or may give: see `Site.largest_machine`."""
        return largest_size(self._config.max_cpus, self._config.max_memory_bytes)

    async def check(self) -> tuple[Finding, ...]:
        """Look at this host: see `Site.check`."""
        return (*check_host(self._config.data), self._check_space())

    async def reclaim(self) -> None:
        """Let the image of volumes give back what is free in it: see `Site.reclaim`."""
        await asyncio.to_thread(self._store.give_back)

    async def prepare(self) -> Prepared:
        """Prepare this host: see `Site.prepare`."""
        lacking = await self.runtime.prepare_host()
        held_by = UserNamespaces.REQUIRE if self.runtime.in_user_namespaces else UserNamespaces.OFF
        return Prepared(lacking, {USER_NAMESPACES: held_by.value})

    async def tend(self) -> None:
        """Trim logs, and make space for volumes: see `Site.tend`."""
        await self.runtime.trim_logs()
        await self.runtime.tend_volumes()

    async def release(self) -> None:
        """Remove what machines left: see `Site.release`."""
        await self.runtime.release_host()

    async def capacity(self, platform: Platform, size: MachineSize) -> Capacity:
        """Any number of machines share this host, whatever their sizes: see `Site.capacity`."""
        del size
        if platform not in platforms():
            return Never(f"{platform} can't be emulated here; install qemu-user-static")
        return Room()

    def shortage(self, untrusted_of: str | None = None) -> str | None:
        """Why the disk has no space for more builds: see `Site.shortage`."""
        return self._store.shortage(untrusted_of)

    def _check_space(self) -> Finding:
        nearest = nearest_folder(self._config.data)
        state = os.statvfs(nearest)
        free = f"{state.f_bavail * state.f_frsize / _GIGABYTE:.1f} GB free on {nearest}"
        shortage = self._store.shortage()
        if shortage is not None:
            return Finding("disk", Verdict.WEAKER, free, f"builds are refused: {shortage}")
        return Finding("disk", Verdict.GOOD, free)
