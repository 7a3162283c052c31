"""A large context and a large export, through the gateway and straight to the same buildkitd."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.builds import DIRECT, held_gateway
from bench.measure import Alternative, Comparison, bounded_rounds, compare
from bench.stack import BenchmarkFailed, BuildKitAddress, Stack, buildctl_build, running_address, running_stack
from tests.harness.contexts import make_context

GATEWAY = "buildctl, through the gateway"
_BYTES = 500 * 1000**2
_BLOCK = 4 * 1000**2
_CONTEXT = "FROM scratch\nCOPY payload /payload\n"


def compare_transfers(rounds: int, seconds: float) -> list[Comparison]:
    """500 MB each way, each in at most ``rounds`` rounds, both together in about ``seconds``."""
    with running_stack() as stack:
        return asyncio.run(_compare(stack, rounds, seconds))


async def _compare(stack: Stack, rounds: int, seconds: float) -> list[Comparison]:
    async with held_gateway(stack) as gateway:
        return await asyncio.to_thread(_both, stack, gateway, rounds, seconds)


def _both(stack: Stack, gateway: BuildKitAddress, rounds: int, seconds: float) -> list[Comparison]:
    ways = {GATEWAY: gateway, DIRECT: running_address(stack)}
    context = make_context(stack.folder / "context", _CONTEXT, payload="")
    measured: tuple[tuple[str, Callable[[Stack, Path, BuildKitAddress], float]], ...] = (
        ("A context of 500 MB", _send),
        ("An export of 500 MB", _receive),
    )
    return [
        compare(
            title,
            [Alternative(name, partial(transfer, stack, context, address)) for name, address in ways.items()],
            against=DIRECT,
            rounds=bounded_rounds(rounds, seconds / len(measured)),
        )
        for title, transfer in measured
    ]


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
