"""What every runtime does, whatever its machines are made of. See `stoker.runtimes.contract`."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest

from stoker.domain.cache_policy import CachePolicy
from stoker.domain.hardware import MachineSize
from stoker.domain.machines import Placement
from stoker.domain.platforms import Platform
from stoker.runtimes.contract import Ending, MachineCertificates, MachineSpec, Observed, Owned, Runtime
from stoker.runtimes.errors import MachineStartFailed, VolumeFailed
from stoker.runtimes.process.process_site import ProcessSite
from stoker.runtimes.site import Site
from stoker.runtimes.volumes import Caps, Snapshots, Volumes
from tests.contract.fake_runtime import FakeHost, FakeSite
from tests.contract.slow_runtime import SlowSite

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from tests.contract.machine_host import MachineHost

DEADLINE_SECONDS = 30.0
GRACE_SECONDS = 10.0


class AllVolumes(Volumes, Snapshots, Caps, Protocol):
    """Volumes with all that some can do."""


class Case(Protocol):
    """One kind of runtime under test."""

    site: Site

    @property
    def runtime(self) -> Runtime: ...

    @property
    def volumes(self) -> AllVolumes: ...

    def spec(self, machine_id: str, volume_id: str = "volume") -> MachineSpec: ...

    def again(self) -> Site:
        """A site of the same server that remembers nothing, as after a crash."""
        ...

    async def foreign(self) -> Site:
        """Another server's site in the same place."""
        ...

    def crash(self, machine_id: str, placement: Placement) -> None:
        """End a machine behind the runtime's back."""
        ...

    def fill(self, volume_id: str, size: int) -> None:
        """Write that many bytes into a volume."""
        ...


@dataclass
class FakeCase:
    host: FakeHost
    kind: Callable[[FakeHost, str], FakeSite]

    def __post_init__(self) -> None:
        self.site = self.kind(self.host, "server")

    @property
    def runtime(self) -> Runtime:
        return self.site.runtime

    @property
    def volumes(self) -> AllVolumes:
        return self.site.volumes

    def spec(self, machine_id: str, volume_id: str = "volume") -> MachineSpec:
        nowhere = MachineCertificates(b"ca", b"certificate", b"key")
        size = MachineSize(cpus=4, memory_bytes=4 * 1024**3)
        return MachineSpec(machine_id, volume_id, Platform.AMD64, size, CachePolicy(), nowhere)

    def again(self) -> Site:
        return self.kind(self.host, "server")

    async def foreign(self) -> Site:
        return self.kind(self.host, "other")

    def crash(self, machine_id: str, placement: Placement) -> None:
        del placement
        self.host.kill("server", machine_id)

    def fill(self, volume_id: str, size: int) -> None:
        self.host.sizes["server", volume_id] = self.host.sizes.get(("server", volume_id), 0) + size


@dataclass
class ProcessCase:
    host: MachineHost
    new_host: Callable[[], MachineHost]

    @property
    def site(self) -> Site:
        return self.host.site

    @property
    def runtime(self) -> Runtime:
        return self.host.runtime

    @property
    def volumes(self) -> AllVolumes:
        return self.host.volumes

    def spec(self, machine_id: str, volume_id: str = "volume") -> MachineSpec:
        return self.host.spec(machine_id, volume_id)

    def again(self) -> Site:
        return ProcessSite(self.host.config)

    async def foreign(self) -> Site:
        other = self.new_host()
        await other.runtime.prepare_host()
        return other.site

    def crash(self, machine_id: str, placement: Placement) -> None:
        del machine_id
        os.kill(int(placement.remembered["process_id"]), signal.SIGKILL)

    def fill(self, volume_id: str, size: int) -> None:
        (self.host.config.data / "volumes" / volume_id / "filling").write_bytes(os.urandom(size))


@pytest.fixture(params=["fake", "slow", "process"])
async def case(request: pytest.FixtureRequest, new_host: Callable[[], MachineHost]) -> Case:
    if request.param == "slow":
        return FakeCase(FakeHost(), SlowSite)
    if request.param == "fake":
        return FakeCase(FakeHost(), FakeSite)
    process = new_host()
    await process.runtime.prepare_host()
    return ProcessCase(process, new_host)


async def start(runtime: Runtime, spec: MachineSpec) -> Placement:
    placements = [placement async for placement in runtime.start(spec)]
    assert placements
    return placements[-1]


async def test_a_started_machine_is_running_and_owned(case: Case) -> None:
    placement = await start(case.runtime, case.spec("one"))
    assert placement.port is not None
    assert await case.runtime.observe("one", placement) is Observed.RUNNING
    assert await case.runtime.observe("one", None) is Observed.RUNNING
    assert await case.runtime.list_owned() == Owned(frozenset({"one"}), frozenset({"volume"}))


async def test_a_stopped_machine_is_gone_and_its_volume_stays(case: Case) -> None:
    placement = await start(case.runtime, case.spec("one"))
    await case.runtime.stop("one", GRACE_SECONDS)
    assert await case.runtime.observe("one", placement) is Observed.ABSENT
    assert await case.runtime.observe("one", None) is Observed.ABSENT
    assert await case.runtime.list_owned() == Owned(frozenset(), frozenset({"volume"}))


async def test_it_starts_again_after_a_stop(case: Case) -> None:
    first = await start(case.runtime, case.spec("one"))
    await case.runtime.stop("one", 0)
    second = await start(case.runtime, case.spec("one"))
    assert await case.runtime.observe("one", first) is Observed.ABSENT
    assert await case.runtime.observe("one", second) is Observed.RUNNING


@pytest.mark.parametrize("grace_seconds", [0, GRACE_SECONDS])
async def test_stopping_what_is_absent_succeeds(case: Case, grace_seconds: float) -> None:
    await case.runtime.stop("never", grace_seconds)
    await start(case.runtime, case.spec("one"))
    await case.runtime.stop("one", grace_seconds)
    await case.runtime.stop("one", grace_seconds)


async def test_two_stops_at_once_both_succeed(case: Case) -> None:
    await start(case.runtime, case.spec("one"))
    await asyncio.gather(case.runtime.stop("one", GRACE_SECONDS), case.runtime.stop("one", 0))
    assert not (await case.runtime.list_owned()).machines


async def test_starting_what_runs_is_refused_and_leaves_it_running(case: Case) -> None:
    placement = await start(case.runtime, case.spec("one"))
    with pytest.raises(MachineStartFailed):
        await start(case.runtime, case.spec("one"))
    assert await case.runtime.observe("one", placement) is Observed.RUNNING


async def test_wait_exit_returns_when_the_machine_dies(case: Case) -> None:
    placement = await start(case.runtime, case.spec("one"))
    waiting = [asyncio.create_task(case.runtime.wait_exit("one", placement)) for _ in range(2)]
    done, _ = await asyncio.wait(waiting, timeout=0)
    assert not done
    case.crash("one", placement)
    await asyncio.wait_for(asyncio.gather(*waiting), DEADLINE_SECONDS)
    assert await case.runtime.observe("one", placement) is Observed.ABSENT
    # What it left is still ours to remove.
    assert (await case.runtime.list_owned()).machines == {"one"}
    await case.runtime.stop("one", GRACE_SECONDS)
    assert not (await case.runtime.list_owned()).machines


async def test_wait_exit_returns_at_once_for_what_is_gone(case: Case) -> None:
    placement = await start(case.runtime, case.spec("one"))
    await case.runtime.stop("one", 0)
    await asyncio.wait_for(case.runtime.wait_exit("one", placement), DEADLINE_SECONDS)


async def test_wait_exit_can_be_given_up_and_taken_up_again(case: Case) -> None:
    placement = await start(case.runtime, case.spec("one"))
    waiting = asyncio.create_task(case.runtime.wait_exit("one", placement))
    await asyncio.wait([waiting], timeout=0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    case.crash("one", placement)
    await asyncio.wait_for(case.runtime.wait_exit("one", placement), DEADLINE_SECONDS)


async def test_a_server_that_remembers_nothing_finds_watches_and_stops_its_machines(case: Case) -> None:
    placement = await start(case.runtime, case.spec("one"))
    again = case.again().runtime
    assert await again.list_owned() == Owned(frozenset({"one"}), frozenset({"volume"}))
    assert await again.observe("one", placement) is Observed.RUNNING
    waiting = asyncio.create_task(again.wait_exit("one", placement))
    await again.stop("one", GRACE_SECONDS)
    await asyncio.wait_for(waiting, DEADLINE_SECONDS)
    assert not (await again.list_owned()).machines


async def test_another_servers_machines_are_never_listed_or_touched(case: Case) -> None:
    foreign = (await case.foreign()).runtime
    theirs = await start(foreign, case.spec("one"))
    assert await case.runtime.list_owned() == Owned(frozenset(), frozenset())
    await case.runtime.stop("one", 0)
    await case.volumes.delete("volume")
    assert await foreign.observe("one", theirs) is Observed.RUNNING
    assert await foreign.list_owned() == Owned(frozenset({"one"}), frozenset({"volume"}))


async def yields_of(case: Case) -> int:
    count = len([placement async for placement in case.runtime.start(case.spec("count", "count"))])
    await case.runtime.stop("count", 0)
    await case.volumes.delete("count")
    return count


def as_generator(placements: AsyncIterator[Placement]) -> AsyncGenerator[Placement]:
    return placements  # pyright: ignore[reportReturnType] - start is an async generator in every runtime


async def test_a_start_abandoned_after_any_yield_is_cleaned_up_by_stop(case: Case) -> None:
    for steps in range(1, await yields_of(case) + 1):
        async with aclosing(as_generator(case.runtime.start(case.spec("one")))) as placements:
            for _ in range(steps):
                await anext(placements)
        await case.runtime.stop("one", 0)
        assert not (await case.runtime.list_owned()).machines


async def test_a_start_canceled_at_any_moment_is_cleaned_up_by_stop(case: Case) -> None:
    for turns in range(4):
        starting = asyncio.create_task(start(case.runtime, case.spec("one")))
        for _ in range(turns):
            await asyncio.wait([starting], timeout=0)
        starting.cancel()
        await asyncio.wait([starting])
        await case.runtime.stop("one", 0)
        assert not (await case.runtime.list_owned()).machines


async def test_deleting_a_volume_leaves_nothing_and_can_be_repeated(case: Case) -> None:
    await start(case.runtime, case.spec("one"))
    await case.runtime.stop("one", GRACE_SECONDS)
    await case.volumes.delete("volume")
    await case.volumes.delete("volume")
    await case.volumes.delete("never")
    assert await case.runtime.list_owned() == Owned(frozenset(), frozenset())


async def test_the_size_of_a_volume_is_what_was_written_into_it(case: Case) -> None:
    await start(case.runtime, case.spec("one"))
    assert await case.volumes.size("volume") >= 0, "while its machine runs"
    await case.runtime.stop("one", GRACE_SECONDS)
    before = await case.volumes.size("volume")
    case.fill("volume", 3_000_000)
    assert 3_000_000 <= await case.volumes.size("volume") - before < 3_100_000


async def test_a_volume_that_is_absent_takes_no_space(case: Case) -> None:
    assert await case.volumes.size("never") == 0
    await start(case.runtime, case.spec("one"))
    await case.runtime.stop("one", 0)
    case.fill("volume", 1000)
    await case.volumes.delete("volume")
    assert await case.volumes.size("volume") == 0


async def test_the_sizes_of_many_volumes_can_be_asked_for_at_once(case: Case) -> None:
    await start(case.runtime, case.spec("one"))
    await case.runtime.stop("one", 0)
    case.fill("volume", 1_000_000)
    sizes = await asyncio.gather(*(case.volumes.size("volume") for _ in range(5)))
    assert len(set(sizes)) == 1
    assert sizes[0] >= 1_000_000


async def test_a_snapshot_is_a_volume_of_its_own(case: Case) -> None:
    await start(case.runtime, case.spec("one"))
    await case.volumes.snapshot("volume", "copy")
    assert (await case.runtime.list_owned()).volumes == {"volume", "copy"}
    await case.volumes.delete("copy")
    assert (await case.runtime.list_owned()).volumes == {"volume"}
    with pytest.raises(VolumeFailed):
        await case.volumes.snapshot("never", "copy")


async def test_a_stop_says_whether_the_machine_ended_by_itself(case: Case) -> None:
    assert not await case.runtime.stop("never", GRACE_SECONDS)
    placement = await start(case.runtime, case.spec("one"))
    assert not await case.runtime.stop("one", 0)
    placement = await start(case.runtime, case.spec("one"))
    case.crash("one", placement)
    await asyncio.wait_for(case.runtime.wait_exit("one", placement), DEADLINE_SECONDS)
    assert not await case.runtime.stop("one", GRACE_SECONDS)


async def test_a_damaged_volume_is_replaced_by_what_was_saved_once(case: Case) -> None:
    await case.volumes.save("never")
    await start(case.runtime, case.spec("one"))
    await case.runtime.stop("one", GRACE_SECONDS)
    await case.volumes.save("volume")
    await case.volumes.save("volume")
    assert await case.volumes.restore("volume")
    assert not await case.volumes.restore("volume")
    assert not await case.volumes.restore("volume")
    await start(case.runtime, case.spec("one"))
    await case.runtime.stop("one", 0)
    await case.volumes.delete("volume")
    assert await case.runtime.list_owned() == Owned(frozenset(), frozenset())


async def test_nothing_is_known_of_what_runs_or_never_was(case: Case) -> None:
    assert await case.runtime.why_ended("never") == Ending()
    await start(case.runtime, case.spec("one"))
    assert await case.runtime.why_ended("one") == Ending()


async def test_there_is_space_at_first(case: Case) -> None:
    assert case.site.shortage() is None


async def test_platforms_are_never_empty(case: Case) -> None:
    assert case.site.platforms
