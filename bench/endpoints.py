"""How long a client waits for an endpoint, and how long the same buildkitd takes when it is started by hand."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
import tomllib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from bench.measure import Comparison, Samples, bounded_rounds
from bench.stack import BenchmarkFailed, BuildKitAddress, Stack, address_of, machine_of, running_stack
from stoker.buildkit.control import wait_until_ready
from stoker.client.api import Api, RemoteBuild, open_api
from stoker.domain.machines import Placement
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.waiting import eventually

BY_HAND = "buildkitd by hand"
COLD = "cold endpoint"
COLD_READY = "cold endpoint and ListWorkers"
WARM = "warm endpoint"
WARM_READY = "warm endpoint and ListWorkers"
_PAYLOAD_BYTES = 16 * 1024**2
_READY_SECONDS = 30.0
_STOP_SECONDS = 15.0
_OF_THE_MACHINE = frozenset({"binary", "cniConfigPath", "cniBinaryPath", "defaultCgroupParent"})


def compare_endpoints(rounds: int, seconds: float) -> list[Comparison]:
    """Cold, warm and by hand by turns, in at most ``rounds`` rounds and about ``seconds``."""
    # A machine that no build holds stops at once.
    with running_stack(idle_seconds="0") as stack:
        context = make_context(stack.folder / "context", HEADER + "COPY payload /payload\n" + run("echo one > /one"))
        (context / "payload").write_bytes(os.urandom(_PAYLOAD_BYTES))
        built = Depot(stack.server, stack.folder).build(cwd=context)
        if built.code != 0:
            raise BenchmarkFailed(f"the build that fills the volume failed:\n{built.output}")
        return [asyncio.run(_compare(stack, rounds, seconds))]


async def _compare(stack: Stack, rounds: int, seconds: float) -> Comparison:
    samples = Samples()
    server = stack.server
    async with open_api(server.url, server.token) as api:
        by_hand = await _copy_of_machine(stack, api)
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
    await asyncio.to_thread(_wait_stopped, stack)


async def _timed_endpoint(stack: Stack, api: Api, samples: Samples, until_active: str, until_ready: str) -> RemoteBuild:
    build = await api.create_build(stack.server.project)
    began = time.perf_counter()
    endpoint = await api.endpoint(build, stack.platform)
    active = time.perf_counter() - began
    address = address_of(endpoint, stack.folder / "endpoint")
    began = time.perf_counter()
    await _ready(address)
    samples.add(until_active, active)
    samples.add(until_ready, active + time.perf_counter() - began)
    return build


async def _measure_by_hand(by_hand: _ByHand, samples: Samples) -> None:
    began = time.perf_counter()
    async with by_hand.running() as address:
        await _ready(address)
        samples.add(BY_HAND, time.perf_counter() - began)


async def _ready(address: BuildKitAddress) -> None:
    async with asyncio.timeout(_READY_SECONDS):
        await wait_until_ready(Placement(address.host, address.port), address.server_name, address.credentials)


def _wait_stopped(stack: Stack) -> None:
    eventually(lambda: machine_of(stack).state == "stopped", "the machine stops", _STOP_SECONDS)


@dataclass(frozen=True, slots=True)
class _ByHand:
    """A buildkitd with the machine's configuration on a copy of its volume."""

    buildkitd: Path
    config: Path
    log: Path
    address: BuildKitAddress

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[BuildKitAddress]:
        """Start it, and stop it as a machine is stopped: so that it writes its databases."""
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                self.buildkitd, "--config", self.config, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield self.address
        finally:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _copy_of_machine(stack: Stack, api: Api) -> _ByHand:
    """Copy the configuration and the certificate of the machine while it runs, and its volume once it is stopped."""
    folder = stack.folder / "by-hand"
    folder.mkdir(mode=0o700)
    build = await api.create_build(stack.server.project)
    await api.endpoint(build, stack.platform)
    machine = machine_of(stack)
    if machine.address is None:
        raise BenchmarkFailed("the machine does not run")
    config = tomllib.loads((machine.folder / "buildkitd.toml").read_text())
    for name in ("cert", "key"):
        shutil.copy(config["grpc"]["tls"][name], folder / name)
    await api.finish_build(build, None)
    await asyncio.to_thread(_wait_stopped, stack)
    await asyncio.to_thread(_copy, machine.volume, folder / "volume")
    with socket.socket() as probe:
        probe.bind((machine.address.host, 0))
        address = replace(machine.address, port=int(probe.getsockname()[1]))
    (folder / "buildkitd.toml").write_text(tomli_w.dumps(_moved(config, folder, address)))
    return _ByHand(stack.engine.buildkitd, folder / "buildkitd.toml", folder / "log", address)


def _copy(volume: Path, target: Path) -> None:
    # Not shutil: layers hold device files.
    subprocess.run(["cp", "--archive", volume, target], check=True)


def _moved(config: dict[str, Any], folder: Path, address: BuildKitAddress) -> dict[str, Any]:
    """The machine's configuration without what belongs to that machine: its network, cgroups and container state."""
    tls = config["grpc"]["tls"] | {"cert": str(folder / "cert"), "key": str(folder / "key")}
    kept = {name: value for name, value in config["worker"]["oci"].items() if name not in _OF_THE_MACHINE}
    return config | {
        "root": str(folder / "volume"),
        "grpc": {"address": [f"tcp://{address.host}:{address.port}"], "tls": tls},
        "otel": {"socketPath": str(folder / "otel.sock")},
        "worker": config["worker"] | {"oci": kept | {"networkMode": "host"}},
    }
