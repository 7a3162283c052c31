"""A large context and a large export, through the gateway and straight to the same buildkitd.

With both ends on one host, whatever the gateway does takes CPU time from them. Over a network as clients have it, the
network is what they wait for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.builds import DIRECT, held_gateway
from bench.links import slow_link
from bench.measure import Alternative, Comparison, Measurement, bounded_rounds, compare
from bench.stack import (
    BenchmarkFailed,
    BuildKitAddress,
    Stack,
    buildctl_build,
    processor_seconds_of,
    running_address,
    running_stack,
)
from tests.harness.contexts import make_context

GATEWAY = "buildctl, through the gateway"
_BYTES = 500 * 1000**2
_LINKS = (1000**3, 500 * 1000**2)  # bits a second
_BLOCK = 4 * 1000**2
_CONTEXT = "FROM scratch\nCOPY payload /payload\n"


def compare_transfers(rounds: int, seconds: float) -> list[Comparison]:
    """500 MB each way, each in at most ``rounds`` rounds, all together in about ``seconds``."""
    with running_stack() as stack:
        return asyncio.run(_compare(stack, rounds, seconds))


async def _compare(stack: Stack, rounds: int, seconds: float) -> list[Comparison]:
    async with held_gateway(stack) as gateway:
        return await asyncio.to_thread(_all, stack, gateway, rounds, seconds)


def _all(stack: Stack, gateway: BuildKitAddress, rounds: int, seconds: float) -> list[Comparison]:
    ways = {GATEWAY: gateway, DIRECT: running_address(stack)}
    share = seconds / (1 + len(_LINKS)) / len(_TRANSFERS)
    found = _each(stack, ways, "on one host", rounds, share)
    for rate in _LINKS:
        with slow_link(rate) as link:
            beyond = {name: link.beyond(way) for name, way in ways.items()}
            found += _each(stack, beyond, f"over {rate / 1000**3:g} Gbit/s", rounds, share)
    return found


def _each(
    stack: Stack, ways: Mapping[str, BuildKitAddress], where: str, rounds: int, seconds: float
) -> list[Comparison]:
    """Each transfer in ``rounds`` rounds at most, and about ``seconds``."""
    context = make_context(stack.folder / "context", _CONTEXT, payload="")
    found: list[Comparison] = []
    for what, transfer in _TRANSFERS.items():
        busy: list[float] = []
        alternatives = [
            Alternative(GATEWAY, _counted(partial(transfer, stack, context, ways[GATEWAY]), stack, busy)),
            Alternative(DIRECT, partial(transfer, stack, context, ways[DIRECT])),
        ]
        title = f"{what}, {where}"
        times = compare(title, alternatives, against=DIRECT, rounds=bounded_rounds(rounds, seconds))
        straight = next(one for one in times.measurements if one.name == DIRECT)
        # The first round doesn't count.
        spent = Measurement("CPU time of the gateway", tuple(busy[1:]))
        found += [times, Comparison(f"{title}: what the gateway does", DIRECT, (spent, straight))]
    return found


def _counted(transfer: Callable[[], float], stack: Stack, busy: list[float]) -> Callable[[], float]:
    """The same transfer, which also remembers the gateway's CPU time."""

    def once() -> float:
        before = processor_seconds_of(stack.server.part("gateway"))
        taken = transfer()
        busy.append(processor_seconds_of(stack.server.part("gateway")) - before)
        return taken

    return once


def _send(stack: Stack, context: Path, address: BuildKitAddress) -> float:
    # BuildKit asks only for what it doesn't have, so all of it has to be new.
    with (context / "payload").open("wb") as file:
        for _ in range(_BYTES // _BLOCK):
            file.write(os.urandom(_BLOCK))
    return buildctl_build(stack, address, context).seconds


def _receive(stack: Stack, context: Path, address: BuildKitAddress) -> float:
    target = stack.folder / "exported.tar"
    seconds = buildctl_build(stack, address, context, f"--output=type=tar,dest={target}").seconds
    if target.stat().st_size < _BYTES:
        raise BenchmarkFailed(f"only {target.stat().st_size} bytes were exported")
    return seconds


_TRANSFERS: dict[str, Callable[[Stack, Path, BuildKitAddress], float]] = {
    "A context of 500 MB": _send,
    "An export of 500 MB": _receive,
}
