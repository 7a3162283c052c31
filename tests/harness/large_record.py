"""A record of a large build, written as the recorder writes one, without the hour that such a build takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from stoker.domain.builds import Build, BuildResult, BuildStatus
from stoker.domain.ids import new_id
from stoker.domain.steps import LogLine, Step
from stoker.store import builds as build_store
from stoker.store import step_logs as log_store
from stoker.store import steps as step_store
from stoker.system import SystemClock, SystemRandomness
from tests.harness.server import Server
from tests.harness.steps import BEGIN, step

IMAGE_DIGEST = "sha256:" + 64 * "a"
"""Of the image that the first step names."""

_STAGES = 20
_LINES_AT_ONCE = 10_000


def write_large_record(server: Server, steps: int, lines: int, error: str | None = None) -> str:
    """Write a build that ended, with its steps and logs, into a server's database.

    Args:
        server: whose first project it is in.
        steps: how many.
        lines: how many lines all logs have; half of them are of step 1.
        error: what the last step failed with, if it did.
    """
    return asyncio.run(_write(server, steps, lines, error))


async def _write(server: Server, count: int, lines: int, error: str | None) -> str:
    database = server.open_database()
    clock = SystemClock()
    id_ = new_id(clock, SystemRandomness())
    ((organization,),) = server.query("select organization_id from projects where id = ?", server.project)
    build = Build(id_, organization, server.project, BuildStatus.RUNNING, None, BEGIN, None, None)
    each = {1: lines // 2} | dict.fromkeys(range(2, count + 1), (lines - lines // 2) // max(count - 1, 1))
    try:
        async with database.write() as tx:
            await build_store.add_build(tx, build)
            await build_store.mark_build_started(tx, id_, BEGIN)
            await step_store.save_steps(tx, server.project, _steps(id_, count, each, error), is_trusted=True)
            for first in range(0, max(each.values()), _LINES_AT_ONCE):
                some = {number: _lines(number, first, many) for number, many in each.items()}
                await log_store.add_lines(tx, id_, some)
            end = BEGIN + timedelta(seconds=count)
            await build_store.end_build(
                tx, id_, BuildResult(BuildStatus.FAILED if error else BuildStatus.SUCCEEDED), end
            )
    finally:
        await database.close()
    return id_


def _steps(build: str, count: int, lines: Mapping[int, int], error: str | None) -> list[Step]:
    """Some stages, one step after the other in each; every third step was cached."""
    last: dict[int, Step] = {}
    found: list[Step] = []
    for number in range(1, count + 1):
        stage = number % _STAGES
        needs = (last[stage],) if stage in last else ()
        name = f"[stage-{stage} {number}/{count}] RUN make target-{number} && make install DESTDIR=/out/{number}"
        if number == 1:
            name = f"[stage-1 1/{count}] FROM docker.io/library/alpine:3@{IMAGE_DIGEST}"
        cached = number % 3 == 0
        one = step(number, number - 1, number - 1 if cached else number + 3, needs=needs, name=name, cached=cached)
        last[stage] = replace(one, build_id=build, log_lines=lines[number], stdout_bytes=60 * lines[number])
        found.append(last[stage])
    return [*found[:-1], replace(found[-1], error=error)]


def _lines(number: int, first: int, count: int) -> list[LogLine]:
    return [
        LogLine(line, BEGIN, 1, f"line {line} of step {number}: compiling src/module_{line}.c with -O2\n".encode())
        for line in range(first, min(count, first + _LINES_AT_ONCE))
    ]
