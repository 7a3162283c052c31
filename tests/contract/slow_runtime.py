"""A runtime in memory that is short of room and takes its time, as one of a crowded cluster is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from stoker.domain.hardware import MachineSize
from stoker.domain.machines import Placement
from stoker.domain.platforms import Platform
from stoker.runtimes.contract import MachineSpec
from stoker.runtimes.errors import NoRoomYet
from stoker.runtimes.site import Capacity, Later
from tests.contract.fake_runtime import FakeHost, FakeRuntime, FakeSite, FakeVolumes

ROOM = 2
FULL = "both nodes are taken"
_TURNS = 20


async def take_time() -> None:
    """Let others go on for a while, without a clock."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class SlowRuntime(FakeRuntime):
    """Has room for two machines of each server, and finds out late that there is none."""

    async def start(self, spec: MachineSpec) -> AsyncIterator[Placement]:
        await take_time()
        if self.has_no_room():
            raise NoRoomYet(FULL)
        async for placement in super().start(spec):
            yield placement

    async def stop(self, machine_id: str, grace_seconds: float) -> bool:
        await take_time()
        return await super().stop(machine_id, grace_seconds)

    def has_no_room(self) -> bool:
        return sum(server == self._server_id for server, _ in self._host.machines) >= ROOM


class SlowVolumes(FakeVolumes):
    """Copies a volume for as long as a test holds it up."""

    def __init__(self, host: FakeHost, server_id: str) -> None:
        super().__init__(host, server_id)
        self.copying = asyncio.Event()
        self.may_copy = asyncio.Event()
        self.may_copy.set()

    async def snapshot(self, volume_id: str, new_volume_id: str) -> None:
        self.copying.set()
        await self.may_copy.wait()
        await super().snapshot(volume_id, new_volume_id)


class SlowSite(FakeSite):
    """A site with such a runtime and such volumes."""

    def __init__(self, host: FakeHost, server_id: str) -> None:
        super().__init__(host, server_id)
        self.runtime: SlowRuntime = SlowRuntime(host, server_id)
        self.volumes: SlowVolumes = SlowVolumes(host, server_id)

    async def capacity(self, platform: Platform, size: MachineSize) -> Capacity:
        return Later(FULL) if self.runtime.has_no_room() else await super().capacity(platform, size)
