"""What a machine costs while it does nothing, and what its limits cost a build."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from bench.by_hand import BY_HAND, ByHand, copy_of_machine, ready, wait_stopped
from bench.measure import MEGABYTES, Comparison, Samples, bounded_rounds
from bench.stack import (
    BenchmarkFailed,
    BuildKitAddress,
    Stack,
    address_of,
    buildctl_build,
    machine_of,
    memory_of,
    processor_seconds_of,
    running_address,
    running_stack,
)
from stoker.client.api import Api, open_api
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot

IDLE = "idle machine"
STOPPED = "stopped machine"
LIMITED = "machine, with its limits"
_IDLE_SECONDS = 5.0
_BUSY = (
    HEADER
    + "ARG ROUND\n"
    + run("i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done; dd if=/dev/zero bs=1M count=300 | md5sum")
)


def compare_machines(rounds: int, seconds: float) -> list[Comparison]:
    """Memory and CPU of an idle and of a stopped machine; the same build with and without limits."""
    with running_stack(idle_seconds="0", prewarm="false") as stack:
        context = make_context(stack.folder / "context", _BUSY)
        built = Depot(stack.server, stack.folder).build(cwd=context)
        if built.code != 0:
            raise BenchmarkFailed(f"the build that fills the volume failed:\n{built.output}")
        return asyncio.run(_compare(stack, context, rounds, seconds))


async def _compare(stack: Stack, context: Path, rounds: int, seconds: float) -> list[Comparison]:
    memory, processor, builds = Samples(), Samples(), Samples()
    async with open_api(stack.server.url, stack.server.token) as api:
        by_hand = await copy_of_machine(stack, api)
        for number in bounded_rounds(rounds, seconds):
            await _measure_machine(stack, api, context, number, (memory, processor, builds))
            await _measure_by_hand(stack, by_hand, context, number, (memory, processor, builds))
    return [
        memory.comparison("Memory of a machine that does nothing (proportional set size)", BY_HAND, MEGABYTES),
        processor.comparison(f"CPU time in {_IDLE_SECONDS:g} s without a build", BY_HAND),
        builds.comparison("A build with the limits of its machine", BY_HAND),
    ]


async def _measure_machine(
    stack: Stack, api: Api, context: Path, number: int, samples: tuple[Samples, Samples, Samples]
) -> None:
    memory, processor, builds = samples
    build = await api.create_build(stack.server.project)
    endpoint = await api.endpoint(build, stack.platform)
    await ready(address_of(endpoint, stack.folder / "endpoint"))
    address, mark = running_address(stack), machine_of(stack).id
    memory.add(IDLE, _memory(mark))
    processor.add(IDLE, await _processor(mark))
    builds.add(LIMITED, await asyncio.to_thread(_build, stack, address, context, number))
    await api.finish_build(build, None)
    await asyncio.to_thread(wait_stopped, stack)
    memory.add(STOPPED, _memory(mark))
    processor.add(STOPPED, await _processor(mark))


async def _measure_by_hand(
    stack: Stack, by_hand: ByHand, context: Path, number: int, samples: tuple[Samples, Samples, Samples]
) -> None:
    memory, processor, builds = samples
    mark = str(by_hand.config)
    async with by_hand.running() as address:
        await ready(address)
        memory.add(BY_HAND, _memory(mark))
        processor.add(BY_HAND, await _processor(mark))
        builds.add(BY_HAND, await asyncio.to_thread(_build, stack, address, context, number))


def _build(stack: Stack, address: BuildKitAddress, context: Path, number: int) -> float:
    return buildctl_build(stack, address, context, f"--opt=build-arg:ROUND={number}", "--no-cache").seconds


async def _processor(mark: str) -> float:
    began = _processor_seconds(mark)
    deadline = time.monotonic() + _IDLE_SECONDS
    await asyncio.sleep(deadline - time.monotonic())
    return _processor_seconds(mark) - began


def _memory(mark: str) -> float:
    """Bytes of all such processes, with their part of what they share."""
    total = 0.0
    for process in _processes(mark):
        try:
            total += memory_of(int(process.name))
        except OSError:
            continue
    return total


def _processor_seconds(mark: str) -> float:
    total = 0.0
    for process in _processes(mark):
        try:
            total += processor_seconds_of(int(process.name))
        except OSError:
            continue
    return total


def _processes(mark: str) -> Iterator[Path]:
    """Processes whose command line or cgroup names something: in a user namespace, a machine's own folder has another
    name.
    """
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            cgroups = (process / "cgroup").read_text()
        except OSError:
            continue
        if mark in line or mark in cgroups:
            yield process
