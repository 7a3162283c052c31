"""What it costs a build that many people watch its page live, and what each of them costs the API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import MEGABYTES, Alternative, Comparison, Measurement, Samples, bounded_rounds, compare
from bench.stack import BenchmarkFailed, Stack, memory_of, processor_seconds_of, running_stack, timed_command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import depot_binary, depot_environment

_VIEWERS = 500
_STEPS = 8
_WATCHED, _UNWATCHED = f"{_VIEWERS} watch it live", "nobody watches"
_END_SECONDS = 120
_MANY = "100000"
_BUILDS = "depot.build.v1.BuildService"
_SHARING = "depot.core.v1.BuildService"


def compare_viewers(rounds: int, seconds: float) -> list[Comparison]:
    """The same build watched by many and by nobody, and the API's memory before and after they came."""
    # All viewers come from one address here, which limits keep from having so many.
    limits = dict.fromkeys(("max_live_pages_per_address", "guest_requests_per_second"), _MANY)
    with running_stack(**limits) as stack:
        watched = _Watched(stack, _context(stack))
        building = compare(
            f"Build of {_STEPS} steps that say something and keep a CPU busy",
            [
                Alternative(_WATCHED, watched.by_many),
                Alternative(_UNWATCHED, watched.by_nobody),
            ],
            against=_UNWATCHED,
            rounds=bounded_rounds(rounds, seconds),
        )
    before = Measurement("before", tuple(before for before, _ in watched.memory))
    after = Measurement(f"with {_VIEWERS} viewers", tuple(after for _, after in watched.memory))
    memory = Comparison("Memory of the API (proportional set size)", "before", (before, after), MEGABYTES)
    each = Measurement("for each viewer", tuple((after - before) / _VIEWERS for before, after in watched.memory[:1]))
    return [
        building,
        watched.processor.comparison("CPU time of the API during those builds", _UNWATCHED),
        memory,
        Comparison("The same, when they came for the first time", each.name, (each,), MEGABYTES),
    ]


def _context(stack: Stack) -> Path:
    busy = "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); [ $((i%1000)) = 0 ] && echo line $i of this step; done"
    said = "".join(run(f"{busy}; true {step}") for step in range(_STEPS))
    return make_context(stack.folder / "context", HEADER + said)


@dataclass(slots=True)
class _Watched:
    stack: Stack
    context: Path
    memory: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    processor: Samples = field(default_factory=Samples)

    def by_nobody(self) -> float:
        build, token = self._created()
        return self._build(build, token, _UNWATCHED)

    def by_many(self) -> float:
        build, token = self._created()
        shared = self._call(f"{_SHARING}/ShareBuild", {"buildId": build})
        before = memory_of(self.stack.server.part("api"))
        with _viewers(str(shared["shareUrl"])) as viewers:
            self.memory.append((before, memory_of(self.stack.server.part("api"))))
            taken = self._build(build, token, _WATCHED)
            output, _ = viewers.communicate(timeout=_END_SECONDS)
        seen = json.loads(output)
        print(f"{taken:.1f} s: {seen}", file=sys.stderr)
        if viewers.returncode or seen["refused"] or seen["looks"] < _VIEWERS:
            raise BenchmarkFailed(f"the viewers did not see the build: {output}")
        return taken

    def _created(self) -> tuple[str, str]:
        made = self._call(f"{_BUILDS}/CreateBuild", {"projectId": self.stack.server.project})
        return str(made["buildId"]), str(made["buildToken"])

    def _build(self, build: str, token: str, how: str) -> float:
        own = depot_environment(self.stack.server, self.stack.folder)
        own |= {"DEPOT_BUILD_ID": build, "DEPOT_TOKEN": token}
        command = [str(depot_binary()), "build", "--no-cache", "--progress=plain", "."]
        api = self.stack.server.part("api")
        before = processor_seconds_of(api)
        taken = timed_command(command, cwd=self.context, environment=own).seconds
        self.processor.add(how, processor_seconds_of(api) - before)
        return taken

    def _call(self, method: str, request: dict[str, str]) -> dict[str, object]:
        answer = self.stack.server.call(method, request)
        if answer.status != 200:
            raise BenchmarkFailed(f"{method}: {answer.message}")
        return answer.body


@contextmanager
def _viewers(url: str) -> Generator[subprocess.Popen[str]]:
    """All viewers, once they have their first page. What they take of the host's CPUs counts as the build's too."""
    command = [sys.executable, "-m", "bench.watching", url, str(_VIEWERS)]
    viewers = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        if viewers.stdout is None or viewers.stdout.readline() != "ready\n":
            raise BenchmarkFailed("the viewers did not get to the build's page")
        yield viewers
    finally:
        viewers.kill()
        viewers.wait()
