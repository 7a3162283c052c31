"""Why a build failed is told by its record and its page, whatever its client saw of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.browser import PASSWORD, Browser, join, owner_code
from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot, Result
from tests.harness.server import Server
from tests.harness.waiting import eventually

ROUNDS = int(os.environ.get("STOKER_KILL_ROUNDS", "2"))
MACHINE_ENDED = "the machine's BuildKit ended unexpectedly; build again, the cache is kept"
GATEWAY_ENDED = "the server's gateway ended while the build ran, and was started again; build again"
GONE = "no health report for 6 seconds: the client is gone"
SLOW = HEADER + run("echo begun; sleep 90")


@pytest.fixture(scope="module")
def own(make_server: Callable[..., Server]) -> Server:
    return make_server(lease_seconds="6", idle_seconds="1")


@pytest.fixture(scope="module")
def reader(own: Server) -> Browser:
    browser = Browser(own.url)
    joined = join(browser, owner_code(own), email="ada@example.com", name="Ada", password=PASSWORD)
    assert joined.status == 200
    return browser


def failure_on_page(reader: Browser, build: str) -> str:
    """What a build's page says under "Why it failed"."""
    words = reader.get(f"/builds/{build}").words
    assert "Why it failed" in words
    return words.partition("Why it failed")[2].partition("Created")[0]


def shown_by_command(server: Server, folder: Path, build: str) -> str:
    stoker = Command(folder, {"DEPOT_API_URL": server.url, "DEPOT_TOKEN": server.token})
    return " ".join(stoker.apart("builds", "show", build).stdout.split())


def wait_failed(server: Server, *builds: str) -> dict[str, str]:
    """The reasons of builds, when they have failed."""

    def reasons() -> dict[str, str]:
        return {build: str(why) for build, status, why in server.builds() if status == "failed" and build in builds}

    eventually(lambda: len(reasons()) == len(builds), "the builds are recorded as failed", 60)
    return reasons()


def newest(server: Server) -> str:
    return server.builds()[-1][0]


def test_the_client_that_is_gone_is_the_reason_and_no_canceled_step(
    own: Server, reader: Browser, tmp_path: Path
) -> None:
    building = Depot(own, tmp_path).begin(cwd=make_context(tmp_path / "slow", SLOW), until=" begun")
    build = newest(own)
    os.killpg(building.pid, signal.SIGKILL)
    building.communicate(timeout=60)
    stopped = "select error from steps where build_id = ? and error like '%canceled%'"
    eventually(lambda: own.query(stopped, build), "the step is canceled with its client")
    wait_failed(own, build)

    said = failure_on_page(reader, build)
    assert GONE in said
    assert "context canceled" not in said
    assert "137" not in said
    assert GONE in shown_by_command(own, tmp_path, build)


@pytest.mark.timeout(60 * ROUNDS + 120)
def test_two_builds_of_a_machine_that_is_killed_say_so(own: Server, reader: Browser, tmp_path: Path) -> None:
    depot = Depot(own, tmp_path)
    contexts = [make_context(tmp_path / name, SLOW + run(f"echo {name}")) for name in ("one", "two")]
    contexts[1].joinpath("Dockerfile").write_text(HEADER + run("echo two; echo begun; sleep 90"))
    for _ in range(ROUNDS):
        before = {build for build, _, _ in own.builds()}
        building = [depot.begin(cwd=context, until=" begun") for context in contexts]
        builds = [build for build, _, _ in own.builds() if build not in before]
        os.kill(own.machine_processes()[0], signal.SIGKILL)
        output = [process.communicate(timeout=60)[0] for process in building]
        wait_failed(own, *builds)
        assert len(builds) == 2
        for build in builds:
            wait_explained(own, build, MACHINE_ENDED, output)
            assert MACHINE_ENDED in failure_on_page(reader, build)
            assert MACHINE_ENDED in shown_by_command(own, tmp_path, build)


def wait_explained(server: Server, build: str, explanation: str, output: list[str]) -> None:
    """Clients may tell their failure a moment before the machine's end is known."""
    eventually(lambda: explanation in wait_failed(server, build)[build], f"{build} is explained: {output}")


@pytest.mark.timeout(60 * ROUNDS + 120)
def test_builds_that_the_gateway_s_end_cut_say_so(own: Server, reader: Browser, tmp_path: Path) -> None:
    depot, context = Depot(own, tmp_path), make_context(tmp_path / "slow", SLOW)
    for _ in range(ROUNDS):
        building = depot.begin(cwd=context, until=" begun")
        build = newest(own)
        os.kill(own.part("gateway"), signal.SIGKILL)
        output = building.communicate(timeout=60)[0]

        assert GATEWAY_ENDED in wait_failed(own, build)[build], output
        assert GATEWAY_ENDED in failure_on_page(reader, build)


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("http://127.0.0.1:1/team/x.git", "127.0.0.1"),
        ("http://192.0.2.2:1/team/x.git", "192.0.2.2"),
        ("http://[::1]:1/team/x.git", "::1"),
        ("git://127.0.0.1/x.git", "127.0.0.1"),
    ],
)
def test_a_git_server_that_is_not_on_the_internet_is_explained(
    own: Server, reader: Browser, tmp_path: Path, source: str, address: str
) -> None:
    context = make_context(tmp_path / "git", f"FROM scratch\nADD {source} /x\n")
    explains_refusal(own, reader, Depot(own, tmp_path).build(cwd=context), tmp_path, address)


def explains_refusal(own: Server, reader: Browser, result: Result, folder: Path, address: str) -> None:
    assert result.code != 0
    build = newest(own)
    reason = wait_failed(own, build)[build]
    hint = f"builds reach {address}, like all addresses that aren't on the internet, only where the operator"
    assert hint in reason, (reason, result.output)
    assert hint in failure_on_page(reader, build)
    assert hint in shown_by_command(own, folder, build)
