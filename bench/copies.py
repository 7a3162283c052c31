"""How long the ephemeral copy of a cache takes that an untrusted build gets, and its endpoint with it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from pathlib import Path

from bench.by_hand import wait_stopped
from bench.measure import Comparison, Samples, bounded_rounds
from bench.stack import BenchmarkFailed, Stack, machine_of, running_stack
from stoker.client.api import open_api
from stoker.runtimes.process.volumes.subvolumes import SubvolumeVolumes
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot

COPY = "ephemeral copy"
BY_CP = "cp -a"
TRUSTED = "cold endpoint"
UNTRUSTED = "cold endpoint of an untrusted build"
_GIGABYTES = 5
_FILES = 5000
_COPY_ID = "0" * 16
_HEADROOM_BYTES = 2 * 1000**3


def compare_copies(rounds: int, seconds: float) -> list[Comparison]:
    """Copy a volume of 5 GB in both ways, and get endpoints on it, in at most ``rounds`` rounds."""
    with running_stack(idle_seconds="0", prewarm="false") as stack:
        context = make_context(stack.folder / "context", HEADER + run("echo begun"))
        built = Depot(stack.server, stack.folder).build(cwd=context)
        if built.code != 0:
            raise BenchmarkFailed(f"the build that makes the volume failed:\n{built.output}")
        wait_stopped(stack)
        volume = machine_of(stack).volume
        _fill(volume / "filling")
        copies = _compare_copies(volume, rounds, seconds)
        return [copies, asyncio.run(_compare_endpoints(stack, rounds, seconds))]


def _fill(folder: Path) -> None:
    folder.mkdir()
    size = _GIGABYTES * 1000**3 // _FILES
    for number in range(_FILES):
        (folder / str(number)).write_bytes(os.urandom(size))
    os.sync()


def _compare_copies(volume: Path, rounds: int, seconds: float) -> Comparison:
    volumes = SubvolumeVolumes(volume.parent, _HEADROOM_BYTES, lambda: True)
    by_cp = volume.parent / ".by-cp"
    samples = Samples()
    for _ in bounded_rounds(rounds, seconds):
        began = time.perf_counter()
        volumes.snapshot(volume.name, _COPY_ID)
        samples.add(COPY, time.perf_counter() - began)
        if sum(1 for _ in (volume.parent / _COPY_ID / "filling").iterdir()) != _FILES:
            raise BenchmarkFailed("the copy has not all of the files")
        volumes.delete(_COPY_ID)
        began = time.perf_counter()
        subprocess.run(["cp", "-a", "--reflink=never", str(volume), str(by_cp)], check=True)
        samples.add(BY_CP, time.perf_counter() - began)
        shutil.rmtree(by_cp)
    return samples.comparison(f"A copy of a volume of {_GIGABYTES} GB in {_FILES} files", BY_CP)


async def _compare_endpoints(stack: Stack, rounds: int, seconds: float) -> Comparison:
    server, samples = stack.server, Samples()
    wanted = {"projectId": server.project, "untrusted": True}
    token = server.call("stoker.v1.TrustService/CreateProjectToken", wanted).body["secret"]
    async with open_api(server.url, server.token) as trusted, open_api(server.url, token) as untrusted:
        for _ in bounded_rounds(rounds, seconds):
            for name, api in ((TRUSTED, trusted), (UNTRUSTED, untrusted)):
                build = await api.create_build(server.project)
                began = time.perf_counter()
                await api.endpoint(build, stack.platform)
                samples.add(name, time.perf_counter() - began)
                await api.finish_build(build, None)
                await asyncio.to_thread(wait_stopped, stack)
    return samples.comparison(f"Time to an endpoint with a cache of {_GIGABYTES} GB", TRUSTED)
