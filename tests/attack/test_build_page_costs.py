"""Pages of builds, which strangers with a link may open too, take no time of those who call the API."""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.attack.framework.memory import forget_peak, peak_bytes, resident_bytes
from tests.harness.large_record import write_large_record
from tests.harness.records import read_steps
from tests.harness.server import Server

LIST = "depot.core.v1.ProjectService/ListProjects"
SECONDS = 5.0
MOST_MEMORY = 50 * 1024**2
STRANGERS = f"""
import http.client, sys, threading, time
host, path = sys.argv[1:]
def look():
    connection = http.client.HTTPConnection(host)
    while True:
        connection.request("GET", path)
        connection.getresponse().read()
for _ in range(10):
    threading.Thread(target=look, daemon=True).start()
time.sleep({SECONDS + 30})
"""


def share(server: Server, build: str) -> str:
    """The path of a build's page for strangers."""
    return urlsplit(server.call("depot.core.v1.BuildService/ShareBuild", {"buildId": build}).body["shareUrl"]).path


def seconds_of_calls(server: Server, seconds: float) -> list[float]:
    """How long calls of somebody else take, one after the other."""
    taken: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begun = time.monotonic()
        assert server.call(LIST).status == 200
        taken.append(time.monotonic() - begun)
    return taken


def test_ten_strangers_on_a_shared_build_delay_no_calls(server: Server) -> None:
    path = share(server, write_large_record(server, steps=2000, lines=40_000))
    quiet = statistics.median(seconds_of_calls(server, 1))
    attack = [sys.executable, "-c", STRANGERS, server.url.removeprefix("http://"), path]
    strangers = subprocess.Popen(["nice", "-n", "19", *attack])
    try:
        seconds_of_calls(server, 1)
        taken = seconds_of_calls(server, SECONDS)
    finally:
        strangers.kill()
        strangers.wait()
    # Before, one such page took the event loop for most of a second, and each call waited for several.
    assert len(taken) > 20
    assert statistics.median(taken) < max(0.2, 10 * quiet)


def test_a_large_record_is_read_in_little_memory(server: Server) -> None:
    """As much as is kept of a build, 20,000 steps with 64 MiB of logs, takes no more: what is read is read in pages."""
    build = write_large_record(server, steps=4000, lines=200_000)
    path, api = share(server, build), server.part("api")
    before = resident_bytes(api)
    forget_peak(api)
    assert len(read_steps(server, build)) == 4000
    step = f"{path}/steps/1"
    reads = (
        path,
        f"{path}/log.txt",
        f"{path}/search?q=module_77",
        step,
        f"{step}?q=module",
        f"{step}/log.txt",
        f"{step}/raw.txt",
    )
    for read in reads:
        with closing(http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)) as caller:
            caller.request("GET", read)
            answer = caller.getresponse()
            assert (answer.status, answer.read() != b"") == (200, True), read
    assert peak_bytes(api) - before < MOST_MEMORY


def status_of(server: Server, path: str, source: str) -> int:
    """How a page is answered to an address."""
    with closing(http.client.HTTPConnection(server.url.removeprefix("http://"), source_address=(source, 0))) as caller:
        caller.request("GET", path)
        return caller.getresponse().status


def statuses(server: Server, asked: list[tuple[str, str]]) -> Counter[int]:
    """How pages that were asked for in the same moment are answered: paths, and from where."""
    with ThreadPoolExecutor(len(asked)) as pool:
        return Counter(pool.map(lambda one: status_of(server, *one), asked))


@pytest.mark.bound("max_build_pages", "max_build_pages_per_address")
def test_pages_of_builds_are_bounded_for_each_address_and_for_all(make_server: Callable[..., Server]) -> None:
    server = make_server(max_build_pages="8", max_build_pages_per_address="2")
    path = share(server, write_large_record(server, steps=2000, lines=4000))
    # Each begins elsewhere, so that none is made for another one too.
    of_one = [(f"{path}?after={number}", "127.0.0.2") for number in range(10)]
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(statuses, server, of_one)
        assert status_of(server, path, "127.0.0.3") == 200
        answers = seen.result()
    assert answers[429] >= 1, answers
    assert answers[200] >= 2, answers

    of_many = [(f"{path}?after={number}", f"127.0.1.{number}") for number in range(1, 31)]
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(statuses, server, of_many)
        assert server.call(LIST).status == 200
        answers = seen.result()
    assert answers[429] >= 1, answers
    assert answers[200] >= 8, answers
    assert status_of(server, path, "127.0.0.3") == 200
