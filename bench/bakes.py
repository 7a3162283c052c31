"""A bake of many targets: through the whole path, through the gateway alone, and straight to the same buildkitd."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.builds import held_gateway
from bench.measure import Alternative, Comparison, Samples, Unit, bounded_rounds, compare
from bench.stack import BenchmarkFailed, BuildKitAddress, Stack, running_address, running_stack, timed_command
from tests.harness.contexts import HEADER, make_bake, make_context
from tests.harness.depot import depot_binary, depot_environment
from tests.harness.go_tools import BUILDX, go_tool
from tests.harness.metrics import read_metrics

DIRECT = "buildx bake, straight"
_TARGETS = 100
_MOST_QUESTIONS = 8
_SECONDS = 300.0
_BAKE = ["bake", "--progress=plain", "-f", "docker-bake.hcl"]
_CALLS = Unit("calls", 1)


def compare_bakes(rounds: int, seconds: float) -> list[Comparison]:
    """The same bake in three ways, and how many calls at the gateway the server is asked about for a target."""
    with running_stack(metrics="127.0.0.1:0") as stack:
        return asyncio.run(_compare(stack, rounds, seconds))


async def _compare(stack: Stack, rounds: int, seconds: float) -> list[Comparison]:
    async with held_gateway(stack) as gateway:
        return await asyncio.to_thread(_all, stack, gateway, rounds, seconds)


def _all(stack: Stack, gateway: BuildKitAddress, rounds: int, seconds: float) -> list[Comparison]:
    bakes = _Bakes(stack, make_context(stack.folder / "bake", HEADER), go_tool(BUILDX, stack.server.cache), Samples())
    bakes.create_builder("gateway", gateway)
    bakes.create_builder("direct", running_address(stack))
    ways: dict[str, Callable[[], float]] = {
        "depot bake": bakes.depot,
        "buildx bake, through the gateway": partial(bakes.buildx, "gateway"),
        DIRECT: partial(bakes.buildx, "direct"),
    }
    alternatives = [Alternative(name, way) for name, way in ways.items()]
    title = f"Bake of {_TARGETS} targets"
    times = compare(title, alternatives, against=DIRECT, rounds=bounded_rounds(rounds, seconds))
    questions = bakes.questions.comparison("Calls at the gateway, for each target", "depot bake", _CALLS)
    return [times, questions]


@dataclass(frozen=True, slots=True)
class _Bakes:
    """Runs a bake in different ways; each time the steps are new."""

    stack: Stack
    context: Path
    buildx_binary: Path
    questions: Samples

    def create_builder(self, name: str, address: BuildKitAddress) -> None:
        options = f"cacert={address.ca},cert={address.certificate},key={address.key},servername={address.server_name}"
        where = f"tcp://{address.host}:{address.port}"
        self._buildx("create", "--name", name, "--driver", "remote", "--driver-opt", options, where)

    def depot(self) -> float:
        make_bake(self.context, _TARGETS, secrets.token_hex(8))
        before = self._asked()
        environment = depot_environment(self.stack.server, self.stack.folder)
        seconds = self._timed([str(depot_binary()), *_BAKE], environment)
        asked = (self._asked() - before) / _TARGETS
        if asked > _MOST_QUESTIONS:
            raise BenchmarkFailed(f"the server was asked about {asked:.1f} calls for each target")
        self.questions.add("depot bake", asked)
        return seconds

    def buildx(self, builder: str) -> float:
        make_bake(self.context, _TARGETS, secrets.token_hex(8))
        return self._buildx(*_BAKE, "--builder", builder)

    def _buildx(self, *arguments: str) -> float:
        environment = dict(os.environ) | {"BUILDX_CONFIG": str(self.stack.folder / "buildx")}
        return self._timed([str(self.buildx_binary), *arguments], environment)

    def _timed(self, command: list[str], environment: dict[str, str]) -> float:
        return timed_command(command, cwd=self.context, environment=environment, within=_SECONDS).seconds

    def _asked(self) -> float:
        metrics = read_metrics(self.stack.server)
        return sum(metrics("stoker_gateway_calls_total", answer=answer) for answer in metrics.labels("answer"))
