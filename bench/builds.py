"""The same build through the whole path, through the gateway alone, and straight to the same buildkitd."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.measure import Alternative, Comparison, bounded_rounds, compare
from bench.stack import (
    BenchmarkFailed,
    BuildKitAddress,
    Ran,
    Stack,
    address_of,
    buildctl_build,
    running_address,
    running_stack,
    timed_command,
)
from stoker.client.api import keep_alive, open_api
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import depot_binary, depot_environment

DIRECT = "buildctl, straight"
_STEPS = 4
_DOCKERFILE = HEADER + run("echo one > /one") + "COPY payload /payload\n" + run("wc -c < /payload > /size")
_PAYLOAD_BYTES = 16 * 1024**2
_CACHED_SHARE = 1 / 3
_MANIFEST = re.compile(r"exporting manifest (sha256:[0-9a-f]{64})")
_HEALTH_SECONDS = 20.0

_Way = Callable[[list[str]], Ran]


def compare_builds(rounds: int, seconds: float) -> list[Comparison]:
    """Cached and uncached builds, each in at most ``rounds`` rounds, both together in about ``seconds``."""
    with running_stack() as stack:
        return asyncio.run(_compare(stack, rounds, seconds))


async def _compare(stack: Stack, rounds: int, seconds: float) -> list[Comparison]:
    async with held_gateway(stack) as gateway:
        # Builds block; health reports go on beside them.
        return await asyncio.to_thread(_both, stack, gateway, rounds, seconds)


def _both(stack: Stack, gateway: BuildKitAddress, rounds: int, seconds: float) -> list[Comparison]:
    direct = running_address(stack)
    builds = _Builds(stack, make_context(stack.folder / "context", _DOCKERFILE, payload=""))
    builds.renew_payload()
    ways: dict[str, _Way] = {
        "depot build": builds.depot,
        "stoker build": builds.stoker,
        "buildctl, through the gateway": partial(builds.buildctl, gateway),
        DIRECT: partial(builds.buildctl, direct),
    }
    shares = (
        ("Cached build", builds.cached, _CACHED_SHARE),
        ("Uncached build", builds.uncached, 1 - _CACHED_SHARE),
    )
    return [
        compare(
            title,
            [Alternative(name, partial(measured, way)) for name, way in ways.items()],
            against=DIRECT,
            rounds=bounded_rounds(rounds, share * seconds),
        )
        for title, measured, share in shares
    ]


@asynccontextmanager
async def held_gateway(stack: Stack) -> AsyncGenerator[BuildKitAddress]:
    """An endpoint of a build that stays open, so that the machine stays and buildctl may pass the gateway."""
    server = stack.server
    async with open_api(server.url, server.token) as api:
        build = await api.create_build(server.project)
        endpoint = await api.endpoint(build, stack.platform)
        health = asyncio.create_task(keep_alive(api, build, stack.platform, _HEALTH_SECONDS))
        try:
            yield address_of(endpoint, stack.folder / "held")
        finally:
            health.cancel()
            await api.finish_build(build, None)


@dataclass(slots=True)
class _Builds:
    """Runs the one build in different ways, and makes sure that all do the same."""

    stack: Stack
    context: Path
    manifests: set[str] = field(default_factory=set[str])

    def renew_payload(self) -> None:
        (self.context / "payload").write_bytes(os.urandom(_PAYLOAD_BYTES))

    def cached(self, way: _Way) -> float:
        ran = way([])
        # The round that doesn't count may build it, and all that follow find it.
        if self.manifests and (ran.output.count(" CACHED\n") != _STEPS or self.manifests != {_manifest(ran)}):
            raise BenchmarkFailed(f"this build should have been cached:\n{ran.output}")
        self.manifests.add(_manifest(ran))
        return ran.seconds

    def uncached(self, way: _Way) -> float:
        self.renew_payload()
        ran = way(["--no-cache"])
        if " CACHED\n" in ran.output:
            raise BenchmarkFailed(f"nothing of this build should have been cached:\n{ran.output}")
        return ran.seconds

    def depot(self, flags: list[str]) -> Ran:
        environment = depot_environment(self.stack.server, self.stack.folder)
        # By default the CLI adds an attestation; the others don't.
        same = ["--progress=plain", "--output=type=image", "--provenance=false"]
        return timed_command(
            [str(depot_binary()), "build", *same, *flags, "."], cwd=self.context, environment=environment
        )

    def stoker(self, flags: list[str]) -> Ran:
        environment = os.environ | self.stack.server.first | {"STOKER_CACHE": str(self.stack.server.cache)}
        # Installed commands have their bytecode; compiling it every time would count as building.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-m", "stoker.cli.main", "build", "--progress=plain", "--output=type=image"]
        return timed_command([*command, *flags, "."], cwd=self.context, environment=environment)

    def buildctl(self, address: BuildKitAddress, flags: list[str]) -> Ran:
        return buildctl_build(self.stack, address, self.context, "--output=type=image", *flags)


def _manifest(ran: Ran) -> str:
    found = _MANIFEST.search(ran.output)
    if found is None:
        raise BenchmarkFailed(f"this build exported no image:\n{ran.output}")
    return found.group(1)
