"""A machine gets the CPUs, the memory and the processes that it was promised, and no more, with all of its steps."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stoker.domain.hardware import MachineSize
from stoker.runtimes.contract import Ending, Observed
from stoker.runtimes.process.host.cgroups import Cgroups
from stoker.runtimes.process.host.limits import host_size
from tests.contract.machine_host import (
    READY_SECONDS,
    MachineHost,
    engine_process,
    nothing_left,
    run,
    traces,
    write_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE = 1024**2
STEP_IS_RUNNING = r"^#\d+ [\d.]+ step is running$"
# Fills memory with a file in memory and holds it; busybox has nothing else that takes as much as it is told.
TAKE_ALL = "--mount=type=tmpfs,target=/memory dd if=/dev/zero of=/memory/all bs=1M count=1000"
SMALL = MachineSize(cpus=1, memory_bytes=256 * MEBIBYTE)


def group_file(host: MachineHost, controller: str, name: str) -> str:
    """What a file of the machine's group says, in v1 or v2."""
    found = Path("/sys/fs/cgroup", controller, "stoker", host.config.server_id, "machine", name)
    return found.read_text().strip()


def score_of(pid: int) -> int:
    """How willingly the kernel kills a process when memory is short."""
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


async def test_limits_are_set_and_capped_by_the_host(host: MachineHost) -> None:
    small = await host.start(host.spec("machine", size=SMALL))
    assert (small.placement.cpus, small.placement.memory_bytes) == (1, SMALL.memory_bytes)
    assert group_file(host, "memory", "memory.limit_in_bytes") == str(SMALL.memory_bytes)
    assert group_file(host, "cpu", "cpu.cfs_quota_us") == "100000"
    assert group_file(host, "pids", "pids.max") == str(host.config.max_processes)
    await host.runtime.stop("machine", 0)
    largest = await host.start(host.spec("machine", size=MachineSize(cpus=192, memory_bytes=2**50)))
    there_is = host_size()
    assert (largest.placement.cpus, largest.placement.memory_bytes) == (there_is.cpus, there_is.memory_bytes)
    page = 4096
    assert int(group_file(host, "memory", "memory.limit_in_bytes")) == there_is.memory_bytes // page * page


@pytest.mark.bound("max_machine_cpus")
@pytest.mark.bound("max_machine_memory_bytes")
async def test_a_machine_is_no_larger_than_its_region_allows(new_host: Callable[..., MachineHost]) -> None:
    host = new_host(max_cpus=1, max_memory_bytes=SMALL.memory_bytes)
    await host.runtime.prepare_host()
    machine = await host.start(host.spec("machine", size=MachineSize(cpus=192, memory_bytes=2**50)))
    assert (machine.placement.cpus, machine.placement.memory_bytes) == (1, SMALL.memory_bytes)
    assert group_file(host, "memory", "memory.limit_in_bytes") == str(SMALL.memory_bytes)
    assert group_file(host, "cpu", "cpu.cfs_quota_us") == "100000"


async def test_a_step_that_takes_all_memory_is_killed_and_told_so_and_its_neighbours_go_on(
    host: MachineHost, tmp_path: Path
) -> None:
    machine = await host.wait_ready(await host.start(host.spec("machine", size=SMALL)))
    noticed = asyncio.create_task(host.runtime.wait_step_killed("machine"))
    modest = write_context(tmp_path / "modest", "echo step is running; sleep 3; echo still here")
    greedy = write_context(tmp_path / "greedy", TAKE_ALL)
    beside, failed = await asyncio.gather(machine.build(modest), machine.build(greedy))
    assert failed.code != 0
    assert "the machine ran out of memory" in failed.text, failed.text
    assert "exit code: 137" in failed.text
    assert beside.code == 0, beside.text
    await asyncio.wait_for(noticed, READY_SECONDS)
    assert await host.runtime.observe("machine", machine.placement) is Observed.RUNNING
    assert await host.runtime.why_ended("machine") == Ending()


async def test_a_step_that_fails_for_another_reason_is_not_told_of_memory(host: MachineHost, tmp_path: Path) -> None:
    machine = await host.start_ready()
    failed = await machine.build(write_context(tmp_path / "context", "sh -c 'kill -9 $$'; exit $?"))
    assert "exit code: 137" in failed.text
    assert "memory" not in failed.text


async def test_a_machine_whose_engine_was_killed_for_memory_says_so(host: MachineHost) -> None:
    before = traces(host.config)
    # What the page cache doesn't have of it would be charged to the machine, and the kernel would rather drop that and
    # read it again, for minutes, than kill anybody.
    host.config.buildkitd.read_bytes()
    machine = await host.start(host.spec("machine", size=MachineSize(cpus=1, memory_bytes=8 * MEBIBYTE)))
    await asyncio.wait_for(host.runtime.wait_exit("machine", machine.placement), READY_SECONDS)
    assert (await host.runtime.why_ended("machine")).out_of_memory
    await host.runtime.stop("machine", 0)
    await nothing_left(host.config, before)


async def test_steps_are_killed_before_the_engine(host: MachineHost, tmp_path: Path) -> None:
    machine = await host.start_ready()
    context = write_context(tmp_path / "context", "echo step is running; sleep 1000")
    async with machine.building(context, STEP_IS_RUNNING):
        group = Path("/sys/fs/cgroup/memory/stoker", host.config.server_id, "machine", "buildkit")
        (step,) = [folder for folder in group.iterdir() if folder.is_dir()]
        engine = score_of(engine_process(host, "machine"))
        steps = [score_of(int(pid)) for pid in (step / "cgroup.procs").read_text().split()]
        assert min(steps) > engine > score_of(os.getpid())


async def test_a_step_that_forks_without_end_is_bounded_and_the_machine_lives(
    new_host: Callable[..., MachineHost], tmp_path: Path
) -> None:
    host = new_host(max_processes=300)
    await host.runtime.prepare_host()
    machine = await host.start_ready()
    bomb = write_context(
        tmp_path / "bomb", "i=0; while [ $i -lt 1000 ]; do sleep 60 & i=$((i+1)); done; echo all forked"
    )
    failed = await machine.build(bomb)
    assert failed.code != 0
    assert "can't fork" in failed.text, failed.text
    modest = await machine.build(write_context(tmp_path / "modest", "echo fine"))
    assert modest.code == 0, modest.text


def test_a_host_tells_which_limits_it_can_not_set() -> None:
    assert Cgroups("unprepared").lacking() == frozenset()
    hide = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
    ask = "from stoker.runtimes.process.host.cgroups import Cgroups; print(sorted(Cgroups('unprepared').lacking()))"
    python = str(Path(__file__).parents[2] / ".venv" / "bin" / "python")
    told = run("unshare", "--mount", "sh", "-c", hide, "sh", python, "-c", ask)
    assert told.strip() == "['cpu', 'memory', 'pids']"
