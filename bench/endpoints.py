"""How long a client waits for an endpoint, and how long the same buildkitd takes when it is started by hand."""

from __future__ import annotations

import asyncio
import time

from bench.by_hand import (
    BY_HAND,
    BY_HAND_NETWORKED,
    ByHand,
    copy_of_machine,
    delete_bridge,
    ready,
    wait_stopped,
)
from bench.measure import Comparison, Samples, bounded_rounds
from bench.stack import BenchmarkFailed, BuildKitAddress, Stack, address_of, running_stack
from stoker._gen.moby.buildkit.v1.control_pb import ListWorkersRequest
from stoker.buildkit.control import control_client
from stoker.client.api import Api, RemoteBuild, open_api
from stoker.domain.machines import Placement
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot

COLD = "cold endpoint"
COLD_READY = "cold endpoint and ListWorkers"
PREWARMED = "endpoint of a build created 300 ms before"
PREWARMED_READY = "the same, and ListWorkers"
WARM = "warm endpoint"
WARM_READY = "warm endpoint and ListWorkers"
# A cache of 1 GB, in as many records as a middling project has.
_STEPS = 64
_STEP_MEGABYTES = 16
# What a client does between creating a build and asking for its endpoint.
_PREPARING_SECONDS = 0.3


def compare_endpoints(rounds: int, seconds: float) -> list[Comparison]:
    """Cold, warm and by hand by turns, in at most ``rounds`` rounds and about ``seconds``."""
    # A machine that no build holds stops at once.
    with running_stack(idle_seconds="0") as stack:
        written = [run(f"dd if=/dev/urandom of=/{step} bs=1M count={_STEP_MEGABYTES}") for step in range(_STEPS)]
        context = make_context(stack.folder / "context", HEADER + "".join(written))
        built = Depot(stack.server, stack.folder).build(cwd=context)
        if built.code != 0:
            raise BenchmarkFailed(f"the build that fills the volume failed:\n{built.output}")
        try:
            return [asyncio.run(_compare(stack, rounds, seconds))]
        finally:
            delete_bridge()


async def _compare(stack: Stack, rounds: int, seconds: float) -> Comparison:
    samples = Samples()
    server = stack.server
    async with open_api(server.url, server.token) as api:
        by_hand = await copy_of_machine(stack, api)
        # One round that doesn't count: it finds less in the page cache.
        await _ours(stack, api, Samples())
        await _measure_by_hand(by_hand, Samples())
        for number in bounded_rounds(rounds, seconds):
            if number % 2 == 0:
                await _ours(stack, api, samples)
            await _measure_by_hand(by_hand, samples)
            if number % 2 == 1:
                await _ours(stack, api, samples)
    return samples.comparison("Time to an endpoint", BY_HAND)


async def _ours(stack: Stack, api: Api, samples: Samples) -> None:
    cold = await _timed_endpoint(stack, api, samples, COLD, COLD_READY)
    warm = await _timed_endpoint(stack, api, samples, WARM, WARM_READY)
    for build in (warm, cold):
        await api.finish_build(build, None)
    await asyncio.to_thread(wait_stopped, stack)
    prewarmed = await _timed_endpoint(stack, api, samples, PREWARMED, PREWARMED_READY, after=_PREPARING_SECONDS)
    await api.finish_build(prewarmed, None)
    await asyncio.to_thread(wait_stopped, stack)


async def _timed_endpoint(
    stack: Stack, api: Api, samples: Samples, until_active: str, until_ready: str, *, after: float = 0
) -> RemoteBuild:
    build = await api.create_build(stack.server.project)
    await asyncio.sleep(after)
    began = time.perf_counter()
    endpoint = await api.endpoint(build, stack.platform)
    active = time.perf_counter() - began
    address = address_of(endpoint, stack.folder / "endpoint")
    began = time.perf_counter()
    await ready(address)
    samples.add(until_active, active)
    samples.add(until_ready, active + time.perf_counter() - began)
    return build


async def _list_workers(address: BuildKitAddress) -> None:
    """What the depot CLI calls first; the machine is ready for it."""
    placement = Placement(address.host, address.port)
    async with control_client(placement, address.server_name, address.credentials) as client:
        await client.list_workers(ListWorkersRequest())


async def _measure_by_hand(by_hand: ByHand, samples: Samples) -> None:
    for name, networked in ((BY_HAND, False), (BY_HAND_NETWORKED, True)):
        began = time.perf_counter()
        async with by_hand.running(networked=networked) as address:
            await ready(address)
            samples.add(name, time.perf_counter() - began)
