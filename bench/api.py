"""What API calls cost, with few and with very many projects, by few and by many callers, beside a bare echo."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from bench.echo import METHOD as ECHO
from bench.echo import running_echo
from bench.load import Call, call_for
from bench.measure import Comparison, Samples, bounded_rounds
from bench.stack import BenchmarkFailed, Stack, running_stack
from stoker.domain.ids import new_id
from stoker.system import SystemClock, SystemRandomness
from tests.harness.curl import H2C, Curl, framed
from tests.harness.endpoint import get_endpoint

CALLERS = (1, 10, 100)
FEW, MANY = 100, 100_000
_BARE = "bare echo"
_CALL_SECONDS = 2.0
_HEALTH = "depot.buildkit.v1.BuildKitService/ReportHealth"
_UNBOUNDED = {"requests_per_second": "1000000", "requests_burst": "1000000"}


def compare_api(rounds: int, seconds: float) -> list[Comparison]:
    """Every call by 1, 10 and 100 callers, by turns, in at most ``rounds`` rounds; each takes more than a minute."""
    with ExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="stoker-echo-")))
        calls = [(_BARE, Call(resources.enter_context(running_echo(folder)), ECHO, b"{}"))]
        for count in (FEW, MANY):
            calls += _calls_of(resources.enter_context(running_stack(**_UNBOUNDED)), count)
        return _compare(calls, rounds, seconds)


def _compare(calls: Sequence[tuple[str, Call]], rounds: int, seconds: float) -> list[Comparison]:
    per_call = {callers: Samples() for callers in CALLERS}
    slowest = {callers: Samples() for callers in CALLERS}
    for number in bounded_rounds(rounds, seconds):
        first = number % len(calls)
        for callers in CALLERS:
            found = {name: call_for(call, _CALL_SECONDS, callers) for name, call in (*calls[first:], *calls[:first])}
            for name, _ in calls:
                per_call[callers].add(name, 1 / found[name].rate)
                slowest[callers].add(name, found[name].p99)
    return [
        samples[callers].comparison(f"{what}, callers: {callers}", _BARE)
        for callers in CALLERS
        for what, samples in (("Time per call (1/rate)", per_call), ("99 of 100 calls took less than", slowest))
    ]


def _calls_of(stack: Stack, projects: int) -> list[tuple[str, Call]]:
    server = stack.server
    project = _add_projects(stack, projects)
    build, token = server.new_build(project)
    get_endpoint(server, build, token, stack.folder / "endpoint")
    report = {"buildId": build, "platform": "PLATFORM_AMD64"}
    answer = Curl(server, H2C, stack.folder).stream(_HEALTH, report, token=token)
    if answer.messages != [{}]:
        raise BenchmarkFailed(f"a health report was answered with {answer.body!r}")
    wanted = json.dumps({"projectId": project}).encode()
    return [
        (f"{method}, {projects} projects", Call(server.url, path, body, bearer, content_type))
        for method, path, body, bearer, content_type in (
            ("GetProject", "depot.core.v1.ProjectService/GetProject", wanted, server.token, "application/json"),
            ("CreateBuild", "depot.build.v1.BuildService/CreateBuild", wanted, server.token, "application/json"),
            ("ReportHealth", _HEALTH, framed(report), token, "application/connect+json"),
        )
    ]


def _add_projects(stack: Stack, count: int) -> str:
    """Fill the organization with projects; the id of one in the middle."""
    server, clock, randomness = stack.server, SystemClock(), SystemRandomness()
    ids = [new_id(clock, randomness) for _ in range(count - 1)]
    now = time.time_ns() // 1000
    with closing(sqlite3.connect(server.data / "stoker.db", timeout=30)) as connection, connection:
        connection.executemany(
            "insert into projects (id, organization_id, name, region_id, hardware, keep_bytes, keep_days, created_at) "
            "select ?, organization_id, ?, region_id, hardware, keep_bytes, keep_days, ? from projects where id = ?",
            [(one, f"customer {number}", now, server.project) for number, one in enumerate(ids)],
        )
    return ids[count // 2]
