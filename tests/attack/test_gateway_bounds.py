"""The gateway's bounds: one build reaches each, while another one is served."""

from __future__ import annotations

import asyncio
import struct
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stoker._gen.moby.buildkit.v1.control_pb import StatusRequest
from tests.attack.framework.attack import gateway_address, gateway_tls
from tests.attack.framework.http1 import enveloped
from tests.attack.framework.http2 import Http2, Stream, http2
from tests.attack.framework.memory import forget_peak, peak_bytes, resident_bytes
from tests.attack.framework.protobuf import solve
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.endpoint import EndpointFiles, get_endpoint
from tests.harness.metrics import read_metrics
from tests.harness.server import Server
from tests.harness.waiting import eventually

CONTROL = "/moby.buildkit.v1.Control/"
HEADERS = {"content-type": "application/grpc", "te": "trailers"}
MEGABYTE = 1024**2
SETTINGS = {
    "max_solve_bytes": 1 * MEGABYTE,
    "max_unfinished_bytes_per_build": 8 * MEGABYTE,
    "max_gateway_memory_bytes": 256 * MEGABYTE,
    "max_gateway_streams": 400,
    "max_gateway_connections": 60,
    "max_gateway_calls_per_build": 20,
    "max_solves_per_build": 3,
    "solves_per_second": 0.05,
    "solves_burst": 20,
    "gateway_calls_per_second": 50,
    "gateway_calls_burst": 1500,
    "gateway_idle_seconds": 5,
    "gateway_request_seconds": 5,
    "gateway_wait_seconds": 4,
}


@pytest.fixture(scope="module")
def bounded(make_server: Callable[..., Server]) -> Server:
    return make_server("--metrics", "127.0.0.1:0", **{name: str(value) for name, value in SETTINGS.items()})


class Builds:
    """Builds with endpoints, in projects of their own."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self._made: list[str] = []

    def begin(self, name: str) -> tuple[str, EndpointFiles]:
        build, token = self.server.new_build(self.server.new_project(name))
        self._made.append(build)
        return build, get_endpoint(self.server, build, token, self.folder / build)

    def finish(self) -> None:
        for build in self._made:
            self.server.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, "success": {}})


@pytest.fixture
def builds(bounded: Server, tmp_path: Path) -> Any:
    made = Builds(bounded, tmp_path)
    yield made
    made.finish()


@asynccontextmanager
async def connected(endpoint: EndpointFiles) -> AsyncIterator[Http2]:
    given = {"address": endpoint.address, "server_name": endpoint.server_name, "folder": str(endpoint.folder)}
    async with http2(gateway_address(given), gateway_tls(given), endpoint.server_name) as connection:
        yield connection


def served(endpoint: EndpointFiles) -> None:
    """A whole call of another build."""
    answer = endpoint.buildctl("debug", "workers")
    assert answer.code == 0, answer.output


async def others_served(endpoint: EndpointFiles) -> None:
    await asyncio.to_thread(served, endpoint)


def within(work: Coroutine[Any, Any, None]) -> None:
    async def bounded_work() -> None:
        async with asyncio.timeout(90):
            await work

    asyncio.run(bounded_work())


async def ask(connection: Http2, method: str, message: bytes = b"") -> Stream:
    stream = await connection.open(CONTROL + method, HEADERS)
    await connection.send(stream, enveloped(message), end=True)
    return stream


@pytest.mark.bound("max_unfinished_bytes_per_build", "gateway_request_seconds")
def test_a_thousand_unfinished_solves_take_little_memory_and_end(bounded: Server, builds: Builds) -> None:
    _, attacker = builds.begin("attacker")
    _, other = builds.begin("other")
    served(other)
    gateway = bounded.part("gateway")
    before = resident_bytes(gateway)
    forget_peak(gateway)

    async def attack() -> None:
        async with AsyncExitStack() as stack:
            connections = [await stack.enter_async_context(connected(attacker)) for _ in range(4)]
            beginning = struct.pack(">BI", 0, MEGABYTE - 100) + bytes(400_000)
            streams: list[Stream] = []
            sending: list[asyncio.Task[None]] = []
            for number in range(1000):
                connection = connections[number % len(connections)]
                streams.append(await connection.open(CONTROL + "Solve", HEADERS))
                sending.append(asyncio.create_task(connection.send(streams[-1], beginning)))
            await others_served(other)
            await asyncio.gather(*sending)
            await asyncio.gather(*(stream.ended.wait() for stream in streams))
            await others_served(other)

    within(attack())
    assert peak_bytes(gateway) - before < 150 * MEGABYTE
    assert bounded.part("gateway") == gateway


def test_the_kernel_ends_others_for_want_of_memory_before_the_gateway_and_the_api(bounded: Server) -> None:
    scores = {part: int(Path(f"/proc/{bounded.part(part)}/oom_score_adj").read_text()) for part in ("api", "gateway")}
    own = int(Path("/proc/self/oom_score_adj").read_text())
    # Where it may not be lowered, machines and their steps have a higher one nevertheless (`test_process_limits.py`).
    assert scores == ({"gateway": -900, "api": -500} if may_lower_scores() else {"gateway": own, "api": own})


def may_lower_scores() -> bool:
    """Whether this host lets us have processes ended later than others, which takes CAP_SYS_RESOURCE."""
    tried = subprocess.run(["sh", "-c", "echo -900 >/proc/$$/oom_score_adj"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.bound("gateway_request_seconds", "gateway_idle_seconds")
def test_a_build_that_takes_longer_than_its_requests_may_is_not_cut(builds: Builds, tmp_path: Path) -> None:
    _, endpoint = builds.begin("patient")
    seconds = SETTINGS["gateway_request_seconds"] + SETTINGS["gateway_idle_seconds"]
    built = endpoint.build(make_context(tmp_path / "context", HEADER + run(f"sleep {seconds}; echo done > /done")))
    assert built.code == 0, built.output


@pytest.mark.bound("gateway_idle_seconds")
def test_a_connection_without_calls_is_closed(builds: Builds) -> None:
    _, endpoint = builds.begin("silent")

    async def wait() -> None:
        async with connected(endpoint) as connection:
            await connection.closed.wait()

    within(wait())


@pytest.mark.bound("max_gateway_memory_bytes")
def test_streams_that_nobody_reads_are_ended_before_the_gateway_takes_too_much(
    bounded: Server, builds: Builds, tmp_path: Path
) -> None:
    build, attacker = builds.begin("attacker")
    _, other = builds.begin("other")
    said = "i=0; while [ $i -lt 12 ]; do head -c 750000 /dev/urandom | base64 -w 76; i=$((i+1)); done"
    assert attacker.build(make_context(tmp_path / "context", HEADER + run(said))).code == 0
    ((ref,),) = bounded.query("select ref from solves where build_id = ?", build)
    gateway = bounded.part("gateway")
    forget_peak(gateway)

    async def attack() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(20):
                connection = await stack.enter_async_context(connected(attacker))
                # What it may be sent is used up soon, and it says nothing of more.
                connection.read_nothing()
                for _ in range(15):
                    stream = await ask(connection, "Status", StatusRequest(Ref=ref).to_binary())
                    await stream.answered.wait()
            for _ in range(10):
                await others_served(other)

    within(attack())
    assert peak_bytes(gateway) < (SETTINGS["max_gateway_memory_bytes"] + 150 * MEGABYTE)
    assert bounded.part("gateway") == gateway


@pytest.mark.bound("gateway_calls_per_second", "gateway_calls_burst")
def test_calls_of_a_build_have_a_rate_of_which_nobody_is_asked(bounded: Server, builds: Builds) -> None:
    _, attacker = builds.begin("attacker")
    _, other = builds.begin("other")
    before = read_metrics(bounded)("stoker_gateway_calls_total", answer="refused")
    calls = 3 * SETTINGS["gateway_calls_burst"]

    async def attack() -> None:
        async with connected(attacker) as connection:
            for _ in range(calls // 100):
                streams = [await ask(connection, "Prune") for _ in range(100)]
                await asyncio.gather(*(stream.ended.wait() for stream in streams))
                assert all(stream.outcome == "answered" for stream in streams)
            await others_served(other)

    within(attack())
    refused = read_metrics(bounded)("stoker_gateway_calls_total", answer="refused") - before
    assert SETTINGS["gateway_calls_burst"] <= refused < calls - 500


@pytest.mark.bound("max_gateway_calls_per_build")
def test_calls_of_a_build_that_wait_are_bounded(bounded: Server, builds: Builds) -> None:
    _, attacker = builds.begin("attacker")
    _, other = builds.begin("other")
    before = read_metrics(bounded)("stoker_gateway_calls_total", answer="unavailable")

    async def attack() -> None:
        async with connected(attacker) as connection:
            streams = [await ask(connection, "Status", StatusRequest(Ref=f"no-{i}").to_binary()) for i in range(100)]
            await others_served(other)
            await asyncio.gather(*(stream.ended.wait() for stream in streams))

    within(attack())
    beyond = read_metrics(bounded)("stoker_gateway_calls_total", answer="unavailable") - before
    assert 0 < beyond <= 100 - SETTINGS["max_gateway_calls_per_build"]


@pytest.mark.bound("max_gateway_streams")
def test_calls_of_a_connection_are_bounded(builds: Builds) -> None:
    _, attacker = builds.begin("attacker")
    _, other = builds.begin("other")
    most = SETTINGS["max_gateway_streams"]

    async def attack() -> None:
        async with connected(attacker) as connection:
            streams = [await connection.open(CONTROL + "Solve", HEADERS) for _ in range(most + 50)]
            await asyncio.gather(*(stream.ended.wait() for stream in streams[most:]))
            assert sum(stream.reset for stream in streams) >= 50
            await others_served(other)

    within(attack())


@pytest.mark.bound("max_gateway_connections")
def test_connections_are_bounded_and_those_that_are_there_go_on(builds: Builds) -> None:
    _, attacker = builds.begin("attacker")
    _, other = builds.begin("other")

    async def attack() -> None:
        async with connected(other) as early, AsyncExitStack() as stack:
            refused = 0
            for _ in range(SETTINGS["max_gateway_connections"] + 20):
                try:
                    await stack.enter_async_context(connected(attacker))
                except OSError:
                    refused += 1
            assert refused >= 20
            stream = await ask(early, "ListWorkers")
            await stream.ended.wait()
            assert stream.outcome == "answered"

    within(attack())
    eventually(lambda: other.buildctl("debug", "workers").code == 0, "there is room again")


@pytest.mark.bound("max_solves_per_build")
def test_solves_of_a_build_are_bounded(builds: Builds, tmp_path: Path) -> None:
    _, attacker = builds.begin("attacker")
    _, other = builds.begin("other")
    context = make_context(tmp_path / "context", HEADER)
    for _ in range(SETTINGS["max_solves_per_build"]):
        assert attacker.build(context).code == 0

    refused = attacker.build(context)

    assert refused.code != 0
    assert "create another build" in refused.output
    assert other.build(context).code == 0


@pytest.mark.bound("solves_per_second", "solves_burst")
def test_solves_of_a_build_have_a_rate(builds: Builds, tmp_path: Path) -> None:
    _, attacker = builds.begin("attacker")
    _, other = builds.begin("other")
    context = make_context(tmp_path / "context", HEADER)

    async def begin_again_and_again() -> None:
        async with connected(attacker) as connection:
            again = solve("again", frontend="dockerfile.v0", session="nobody")
            streams = [await ask(connection, "Solve", again) for _ in range(SETTINGS["solves_burst"] + 1)]
            await streams[-1].ended.wait()

    within(begin_again_and_again())
    refused = attacker.build(context)

    assert refused.code != 0
    assert "solves a second" in refused.output
    assert other.build(context).code == 0


@pytest.mark.bound("max_solve_bytes")
def test_a_solve_that_is_too_large_is_refused(builds: Builds, tmp_path: Path) -> None:
    _, attacker = builds.begin("attacker")
    _, other = builds.begin("other")
    context = make_context(tmp_path / "context", HEADER)
    arguments = [f"--opt=build-arg:A{number}={'x' * 120_000}" for number in range(9)]

    assert attacker.build(context, *arguments[:7]).code == 0
    refused = attacker.build(context, *arguments)

    assert refused.code != 0
    assert "too large" in refused.output.lower(), refused.output[-500:]
    assert other.build(context).code == 0
