"""What was recorded of a build, as the API has it, beside what its client printed with ``--progress plain``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tests.harness.server import Server
from tests.harness.waiting import eventually

_BUILDS = "depot.build.v1.BuildService"
_LINE = re.compile(r"^#(\d+) (.*)$")
_LOG = re.compile(r"^\d+\.\d+ ?(.*)$")


@dataclass
class Told:
    """One step: its name, whether it came from the cache, its log, and whether it failed."""

    name: str
    cached: bool = False
    log: list[str] = field(default_factory=list[str])
    failed: bool = False


def printed(output: str) -> dict[str, Told]:
    """The steps by name that a client printed, in the order of their first lines."""
    steps: dict[str, Told] = {}
    last = ""
    for line in output.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        number, rest = found.groups()
        # BuildKit's printer says #0 for a log that comes before it has counted the step, right below the step's name.
        last = number = last if number == "0" else number
        step = steps.get(number)
        if step is None:
            steps[number] = Told(rest)
        elif rest == "CACHED":
            step.cached = True
        elif rest.startswith("ERROR: "):
            step.failed = True
        elif (log := _LOG.match(rest)) is not None:
            step.log.append(log[1])
    return {step.name: step for step in steps.values()}


def read_steps(server: Server, build: str, page_size: int = 0) -> list[dict[str, Any]]:
    """All steps of a build, page by page."""
    steps: list[dict[str, Any]] = []
    token = ""
    while True:
        request = {"buildId": build, "pageSize": page_size, "pageToken": token}
        answer = server.call(f"{_BUILDS}/GetBuildSteps", request)
        assert answer.status == 200, answer
        steps += answer.body.get("buildSteps", [])
        token = answer.body.get("nextPageToken", "")
        if not token:
            return steps


def read_log(server: Server, build: str, digest: str, page_size: int = 0) -> str:
    """All of a step's log, page by page."""
    text, token = "", ""
    while True:
        request = {"buildId": build, "buildStepDigest": digest, "pageSize": page_size, "pageToken": token}
        answer = server.call(f"{_BUILDS}/GetBuildStepLogs", request)
        assert answer.status == 200, answer
        text += "".join(one.get("message", "") for one in answer.body.get("logs", []))
        token = answer.body.get("nextPageToken", "")
        if not token:
            return text


def recorded(server: Server, build: str) -> dict[str, Told]:
    """The steps by name that were recorded, in the order of the API."""
    return {
        step["name"]: Told(
            name=step["name"],
            cached=step["cacheState"] == "CACHE_STATE_CACHED",
            log=read_log(server, build, step["digest"]).splitlines() if step.get("hasLogs") else [],
            failed="error" in step,
        )
        for step in read_steps(server, build)
    }


def record_states(server: Server, build: str) -> list[tuple[str | None, str | None]]:
    """How far the record of each solve of a build is, and why it is incomplete."""
    return server.query("select record, record_error from solves where build_id = ? and record is not null", build)


def when_recorded(server: Server, build: str, state: str = "complete") -> None:
    """Return when the record of all solves of a build is at its end."""

    def at_the_end() -> bool:
        states = record_states(server, build)
        return bool(states) and all(one != "following" for one, _ in states)

    eventually(at_the_end, f"the record of {build} is at its end", 120)
    assert {one for one, _ in record_states(server, build)} == {state}, record_states(server, build)
