"""Failures at every step of `start`, `stop` and `delete_volume`; after each: is anything left over?"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from stoker.domain.cache_policy import CachePolicy
from stoker.domain.hardware import MachineSize
from stoker.domain.platforms import Platform
from stoker.runtimes.contract import MachineCertificates, MachineSpec, Observed, Owned, Runtime
from stoker.runtimes.errors import MachineStartFailed, MachineStopFailed, VolumeDeleteFailed
from stoker.runtimes.volumes import Volumes
from tests.contract.failing_programs import FailingPrograms
from tests.contract.fake_runtime import FakeHost, FakeRuntime, FakeVolumes
from tests.contract.machine_host import MachineHost, nothing_left, run, traces
from tests.harness.leftovers import cgroups_below

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator

    from stoker.domain.machines import Placement

    NewHost = Callable[..., MachineHost]

MOST_STEPS = 60
POOL = IPv4Network("10.209.77.0/29")


class Case(Protocol):
    """One kind of runtime, and how one of its steps fails."""

    runtime: Runtime
    volumes: Volumes

    def spec(self, machine_id: str) -> MachineSpec: ...

    def fail(self, number: int) -> None:
        """Let the step with this number, counted from now, fail."""
        ...

    def heal(self) -> bool:
        """Let nothing fail any more; whether something did."""
        ...

    async def nothing_left(self) -> None:
        """Find that no machine has left anything."""
        ...


@dataclass
class FakeCase:
    host: FakeHost = field(default_factory=FakeHost)

    def __post_init__(self) -> None:
        self.runtime: Runtime = FakeRuntime(self.host, "server")
        self.volumes: Volumes = FakeVolumes(self.host, "server")

    def spec(self, machine_id: str) -> MachineSpec:
        nowhere = MachineCertificates(b"ca", b"certificate", b"key")
        size = MachineSize(cpus=4, memory_bytes=4 * 1024**3)
        return MachineSpec(machine_id, "volume", Platform.AMD64, size, CachePolicy(), nowhere)

    def fail(self, number: int) -> None:
        self.host.fail_step = number

    def heal(self) -> bool:
        left, self.host.fail_step = self.host.fail_step, None
        return left is not None and left <= 0

    async def nothing_left(self) -> None:
        assert not self.host.machines


class ProcessCase:
    def __init__(self, host: MachineHost, programs: FailingPrograms, way: str) -> None:
        self.runtime: Runtime = host.runtime
        self.volumes: Volumes = host.volumes
        self._host = host
        self._programs = programs
        self._way = way
        self._failing = 0
        self._before = traces(host.config)

    def spec(self, machine_id: str) -> MachineSpec:
        return self._host.spec(machine_id)

    def fail(self, number: int) -> None:
        self._failing = number
        self._programs.fail(number, self._way)

    def heal(self) -> bool:
        self._programs.heal()
        return len(self._programs.calls()) >= self._failing

    async def nothing_left(self) -> None:
        await nothing_left(self._host.config, self._before)
        assert '"stk' not in rules(self._host), "its bridge is still in the firewall's sets"


def rules(host: MachineHost) -> str:
    return run("nft", "list", "table", "inet", f"stoker_{host.config.server_id}")


@pytest.fixture(params=["fake", "before", "after"])
async def case(
    request: pytest.FixtureRequest, new_host: NewHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Case:
    """The fake, and the process runtime with programs that fail before or after they have done their work."""
    if request.param == "fake":
        return FakeCase()
    programs = FailingPrograms.make(tmp_path / "programs")
    monkeypatch.setenv("PATH", programs.path, prepend=":")
    host = new_host()
    await host.runtime.prepare_host()
    return ProcessCase(host, programs, request.param)


async def start(runtime: Runtime, spec: MachineSpec) -> Placement:
    return [placement async for placement in runtime.start(spec)][-1]


async def at_every_step(
    case: Case, work: Callable[[], Awaitable[object]], after: Callable[[bool], Awaitable[None]]
) -> int:
    """Do some work with its first step failing, then its second, until none does; how many steps there were.

    Args:
        case: the runtime.
        work: raises nothing but what the contract says.
        after: asks whether anything is left; it is told whether the work said that it failed.
    """
    for number in range(1, MOST_STEPS):
        case.fail(number)
        failed = False
        try:
            await work()
        except (MachineStartFailed, MachineStopFailed, VolumeDeleteFailed):
            failed = True
        happened = case.heal()
        await after(failed)
        if not happened:
            assert not failed, "it failed by itself"
            return number - 1
    raise AssertionError(f"more than {MOST_STEPS} steps")


async def test_a_start_that_fails_at_any_step_leaves_nothing_after_a_stop(case: Case) -> None:
    async def stopped(_: bool) -> None:
        await case.runtime.stop("one", 0)
        await case.nothing_left()
        assert not (await case.runtime.list_owned()).machines
        await case.volumes.delete("volume")
        assert await case.runtime.list_owned() == Owned(frozenset(), frozenset())

    assert await at_every_step(case, lambda: start(case.runtime, case.spec("one")), stopped) >= 3


async def test_a_machine_starts_again_after_a_start_that_failed(case: Case) -> None:
    case.fail(2)
    with pytest.raises(MachineStartFailed):
        await start(case.runtime, case.spec("one"))
    assert case.heal()
    await case.runtime.stop("one", 0)
    placement = await start(case.runtime, case.spec("one"))
    assert await case.runtime.observe("one", placement) is Observed.RUNNING


async def test_a_stop_that_fails_at_any_step_says_so_and_a_second_one_leaves_nothing(case: Case) -> None:
    await start(case.runtime, case.spec("one"))

    async def stopped(failed: bool) -> None:
        if failed:
            assert (await case.runtime.list_owned()).machines == {"one"}, "what is left of it would be forgotten"
            await case.runtime.stop("one", 0)
        await case.nothing_left()
        assert not (await case.runtime.list_owned()).machines
        await start(case.runtime, case.spec("one"))

    assert await at_every_step(case, lambda: case.runtime.stop("one", 0), stopped) >= 2


async def test_a_deletion_that_fails_at_any_step_says_so_and_a_second_one_leaves_nothing(case: Case) -> None:
    async def make_volume() -> None:
        await start(case.runtime, case.spec("one"))
        await case.runtime.stop("one", 0)
        await case.volumes.save("volume")

    async def deleted(failed: bool) -> None:
        if failed:
            assert (await case.runtime.list_owned()).volumes <= {"volume"}
            await case.volumes.delete("volume")
        assert await case.runtime.list_owned() == Owned(frozenset(), frozenset())
        await case.nothing_left()
        await make_volume()

    await make_volume()
    assert await at_every_step(case, lambda: case.volumes.delete("volume"), deleted) >= 2


def as_generator(placements: AsyncIterator[Placement]) -> AsyncGenerator[Placement]:
    return placements  # pyright: ignore[reportReturnType] - start is an async generator in every runtime


async def test_a_start_closed_after_its_yield_leaves_nothing_after_a_stop(case: Case) -> None:
    async with aclosing(as_generator(case.runtime.start(case.spec("one")))) as placements:
        await anext(placements)
    await case.runtime.stop("one", 0)
    await case.nothing_left()


async def test_two_stops_at_once_leave_nothing(case: Case) -> None:
    await start(case.runtime, case.spec("one"))
    await asyncio.gather(case.runtime.stop("one", 5), case.runtime.stop("one", 0))
    await case.nothing_left()


async def test_a_stop_during_a_start_leaves_a_machine_that_a_stop_removes_whole(case: Case) -> None:
    starting = asyncio.create_task(start(case.runtime, case.spec("one")))
    await asyncio.wait([starting], timeout=0)
    await case.runtime.stop("one", 0)
    with suppress(MachineStartFailed):
        await starting
    await case.runtime.stop("one", 0)
    await case.nothing_left()
    assert not (await case.runtime.list_owned()).machines


async def refused(host: MachineHost, before: frozenset[str], others: frozenset[str] = frozenset()) -> str:
    """Why a machine doesn't start; nothing of it is left after a stop."""
    with pytest.raises(MachineStartFailed) as error:
        await host.start(host.spec("one"))
    await host.runtime.stop("one", 0)
    await nothing_left(host.config, before)
    assert (await host.runtime.list_owned()).machines == others
    return str(error.value)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system on which as few files can be made as is asked for."""
    folder = tmp_path / "small"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "nr_inodes=1,mode=700", "tmpfs", str(folder))
    yield folder
    run("umount", "-l", str(folder))


async def test_a_disk_that_takes_no_further_file_at_any_moment_of_a_start_leaves_nothing(
    host: MachineHost, small_disk: Path
) -> None:
    machines = host.config.data / "machines"
    machines.symlink_to(small_disk)
    before = traces(host.config)
    told: list[str] = []
    for count in range(1, MOST_STEPS):
        run("mount", "-o", f"remount,nr_inodes={count}", str(small_disk))
        try:
            await host.start(host.spec("one"))
        except MachineStartFailed as error:
            told.append(str(error))
        await host.runtime.stop("one", 0)
        await nothing_left(host.config, before)
        assert not list(small_disk.iterdir())
        if len(told) < count:
            break
    assert len(told) >= 5
    assert all("No space left on device" in text for text in told), told


async def test_a_file_in_the_place_of_a_machines_folder_goes_with_a_stop(host: MachineHost) -> None:
    before = traces(host.config)
    (host.config.data / "machines").mkdir()
    (host.config.data / "machines" / "one").write_text("in the way")
    assert "File exists" in await refused(host, before)


async def test_a_server_without_its_cgroups_starts_nothing_and_leaves_nothing(host: MachineHost) -> None:
    for group in reversed(cgroups_below(f"stoker/{host.config.server_id}")):
        group.rmdir()
    before = traces(host.config)
    assert "No such file or directory" in await refused(host, before)


async def test_a_pool_without_a_free_subnet_starts_nothing_and_leaves_nothing(new_host: NewHost) -> None:
    host = new_host(network_pool=POOL, subnet_prefix=29)
    await host.runtime.prepare_host()
    await host.start_ready("neighbour", "other")
    rules_before, before = rules(host), traces(host.config)
    assert "set a larger network_pool" in await refused(host, before, frozenset({"neighbour"}))
    assert rules(host) == rules_before


async def test_something_else_in_the_place_of_a_volume_goes_with_its_deletion(host: MachineHost) -> None:
    before = traces(host.config)
    (host.config.data / "volumes" / "volume").mkdir()
    (host.config.data / "volumes" / "volume" / "file").write_text("in the way")
    await refused(host, before)
    await host.volumes.delete("volume")
    assert await host.runtime.list_owned() == Owned(frozenset(), frozenset())
