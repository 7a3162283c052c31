"""A runtime in memory, for tests of what uses runtimes. It passes the same contract suite as the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from stoker.domain.cache_policy import CachePolicy
from stoker.domain.hardware import MachineSize
from stoker.domain.host import Finding
from stoker.domain.machines import Placement
from stoker.domain.platforms import Platform
from stoker.domain.volume_caps import UntrustedVolume
from stoker.runtimes.contract import Ending, MachineSpec, Observed, Owned, Runtime
from stoker.runtimes.errors import (
    MachineStartFailed,
    MachineStopFailed,
    RuntimeFailed,
    VolumeDeleteFailed,
    VolumeFailed,
    VolumeNotMeasured,
)
from stoker.runtimes.site import Capacity, Never, Prepared, Room


@dataclass(eq=False)
class FakeMachine:
    """One running machine."""

    placement: Placement
    volume_id: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class FakeHost:
    """What outlives a runtime object: machines and volumes of all servers, and the failures that a test asks for."""

    machines: dict[tuple[str, str], FakeMachine] = field(default_factory=dict)
    volumes: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    sizes: dict[tuple[str, str], int] = field(default_factory=dict)
    saved: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    damage: dict[tuple[str, str], str] = field(default_factory=dict)
    step_kills: dict[tuple[str, str], asyncio.Event] = field(default_factory=dict)
    short_of: str | None = None
    fail_start: str | None = None
    fail_stop: str | None = None
    fail_delete: str | None = None
    fail_measure: str | None = None
    fail_step: int | None = None
    unknown: bool = False
    ports: int = 30000

    def step(self, failure: type[RuntimeFailed]) -> None:
        """One step of what is asked of a runtime; the one that ``fail_step`` counts down to fails."""
        if self.fail_step is not None:
            self.fail_step -= 1
            if self.fail_step == 0:
                raise failure("this step was to fail")

    def kill(self, server_id: str, machine_id: str) -> None:
        """End a machine as if it had crashed; what it leaves stays until `stop`."""
        self.machines[server_id, machine_id].ended.set()


class FakeRuntime:
    """A `stoker.runtimes.contract.Runtime` whose machines are entries of a dictionary."""

    def __init__(self, host: FakeHost, server_id: str) -> None:
        self._host = host
        self._server_id = server_id

    async def start(self, spec: MachineSpec) -> AsyncIterator[Placement]:
        key = (self._server_id, spec.machine_id)
        if key in self._host.machines:
            raise MachineStartFailed(f"machine {spec.machine_id} still has processes; stop it first")
        self._host.step(MachineStartFailed)
        self._host.ports += 1
        placement = Placement("127.0.0.1", self._host.ports, remembered={"number": str(self._host.ports)})
        self._host.volumes.setdefault((self._server_id, spec.volume_id), set()).add(spec.machine_id)
        self._host.step(MachineStartFailed)
        self._host.machines[key] = FakeMachine(placement, spec.volume_id)
        if self._host.fail_start is not None:
            raise MachineStartFailed(self._host.fail_start)
        self._host.step(MachineStartFailed)
        yield placement

    async def stop(self, machine_id: str, grace_seconds: float) -> bool:
        if self._host.fail_stop is not None:
            raise MachineStopFailed(self._host.fail_stop)
        key = (self._server_id, machine_id)
        machine = self._host.machines.get(key)
        was_running = machine is not None and not machine.ended.is_set()
        self._host.step(MachineStopFailed)
        if machine is not None:
            machine.ended.set()
        self._host.step(MachineStopFailed)
        self._host.machines.pop(key, None)
        return was_running and grace_seconds > 0

    async def observe(self, machine_id: str, placement: Placement | None) -> Observed:
        if self._host.unknown:
            return Observed.UNKNOWN
        machine = self._find(machine_id, placement)
        return Observed.ABSENT if machine is None or machine.ended.is_set() else Observed.RUNNING

    async def wait_exit(self, machine_id: str, placement: Placement) -> None:
        machine = self._find(machine_id, placement)
        if machine is not None:
            await machine.ended.wait()

    async def list_owned(self) -> Owned:
        return Owned(
            machines=frozenset(machine for server, machine in self._host.machines if server == self._server_id),
            volumes=frozenset(volume for server, volume in self._host.volumes if server == self._server_id),
        )

    async def why_ended(self, machine_id: str) -> Ending:
        return Ending(self._host.damage.get((self._server_id, machine_id)))

    async def wait_step_killed(self, machine_id: str) -> None:
        await self._host.step_kills.setdefault((self._server_id, machine_id), asyncio.Event()).wait()

    def _find(self, machine_id: str, placement: Placement | None) -> FakeMachine | None:
        machine = self._host.machines.get((self._server_id, machine_id))
        return machine if machine is None or placement in (None, machine.placement) else None


class FakeVolumes:
    """`stoker.runtimes.volumes` with all that some can do, as entries of a dictionary."""

    def __init__(self, host: FakeHost, server_id: str) -> None:
        self._host = host
        self._server_id = server_id

    async def delete(self, volume_id: str) -> None:
        if self._host.fail_delete is not None:
            raise VolumeDeleteFailed(self._host.fail_delete)
        self._host.step(VolumeDeleteFailed)
        self._host.saved.pop((self._server_id, volume_id), None)
        self._host.sizes.pop((self._server_id, volume_id), None)
        self._host.step(VolumeDeleteFailed)
        self._host.volumes.pop((self._server_id, volume_id), None)

    async def size(self, volume_id: str) -> int:
        if self._host.fail_measure is not None:
            raise VolumeNotMeasured(self._host.fail_measure)
        return self._host.sizes.get((self._server_id, volume_id), 0)

    async def snapshot(self, volume_id: str, new_volume_id: str) -> None:
        if (self._server_id, volume_id) not in self._host.volumes:
            raise VolumeFailed(f"there is no volume {volume_id}")
        self._host.volumes[self._server_id, new_volume_id] = set(self._host.volumes[self._server_id, volume_id])

    async def settle(self, volume_id: str, policy: CachePolicy, *, fresh: bool) -> bool:
        del fresh
        return self._host.sizes.get((self._server_id, volume_id), 0) > policy.keep_bytes

    async def save(self, volume_id: str) -> None:
        if (content := self._host.volumes.get((self._server_id, volume_id))) is not None:
            self._host.saved[self._server_id, volume_id] = set(content)

    async def can_restore(self, volume_id: str) -> bool:
        return (self._server_id, volume_id) in self._host.saved

    async def restore(self, volume_id: str) -> bool:
        key = (self._server_id, volume_id)
        self._host.volumes[key] = self._host.saved.get(key, set())
        return self._host.saved.pop(key, None) is not None

    async def bound(self, untrusted: Sequence[UntrustedVolume]) -> None:
        pass


class FakeSite:
    """A `stoker.runtimes.site.Site` with such a runtime and such volumes."""

    def __init__(self, host: FakeHost, server_id: str, platforms: frozenset[Platform] = frozenset(Platform)) -> None:
        self._host = host
        self.platforms = platforms
        self.emulated = frozenset[Platform]()
        self.largest_machine = None
        self.runtime: Runtime = FakeRuntime(host, server_id)
        self.volumes = FakeVolumes(host, server_id)

    async def check(self) -> tuple[Finding, ...]:
        return ()

    async def reclaim(self) -> None:
        pass

    async def prepare(self) -> Prepared:
        return Prepared()

    async def tend(self) -> None:
        pass

    async def release(self) -> None:
        pass

    async def capacity(self, platform: Platform, size: MachineSize) -> Capacity:
        del size
        return Room() if platform in self.platforms else Never(f"there are no machines for {platform}")

    def shortage(self, untrusted_of: str | None = None) -> str | None:
        del untrusted_of
        return self._host.short_of
