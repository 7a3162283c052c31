"""The record of a build: solves, steps, logs and warnings."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from stoker.domain.build_work import BuildWork

CLIENT_REF = "client"
"""Stands for a solve's ref in steps that the client reported."""

_LATE_LINES = timedelta(seconds=5)
_NUMBERED = re.compile(r"^\[(?P<where>[^\]]*?) *(?P<number>\d+/\d+)\]")
_PLATFORM = re.compile(r"^\[(?P<platform>[a-z]+/[a-z0-9_]+(?:/[a-z0-9]+)?)(?:->[^ \]]+)?[ \]]")


class RecordState(StrEnum):
    """The state of a solve's record."""

    FOLLOWING = "following"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Solve:
    """One solve of a build, with the state of its record.

    Attributes:
        record: None while only its status was asked for.
        record_error: why the record is incomplete, in words.
        machine_run: the machine's run in which it began.
        dropped_steps: how many of its steps were dropped because of a limit.
        is_untrusted: whether its build is, so that it counts for nothing that others show.
    """

    ref: str
    build_id: str
    project_id: str
    machine_id: str
    machine_run: int
    platform: str
    created_at: datetime
    record: RecordState | None
    record_error: str | None
    dropped_steps: int
    is_untrusted: bool


@dataclass(frozen=True, slots=True)
class Transfer:
    """The progress of something that a step moves, such as a layer or a context.

    Attributes:
        current: how far it is, in bytes for what has a size.
        total: the whole; 0 when it isn't known.
    """

    id: str
    name: str
    current: int
    total: int
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a build: a vertex of one of its solves.

    Attributes:
        number: its position in the build, from 1, in the order in which steps began.
        solve_ref: its solve, or `CLIENT_REF`.
        digest: BuildKit's, in which a build's steps differ except where two of its solves share one.
        platform: from its name where it says one, else its machine's.
        inputs: the digests of the steps that it needs.
        work_key: the same for the same work in all of a project's builds; see `work_key`.
        log_bytes: what its log had, dropped parts too.
        log_lines: the entries of its log that are kept.
        dropped_bytes: how much of its log was not kept.
        clipped: whether BuildKit itself says in the log that it left some out.
        saved: for a cached step, how long the same work took when it was last done in the project.
    """

    build_id: str
    number: int
    solve_ref: str
    digest: str
    name: str
    group: str
    platform: str
    started_at: datetime | None
    completed_at: datetime | None
    cached: bool
    error: str | None
    inputs: tuple[str, ...]
    work_key: str
    transfers: tuple[Transfer, ...]
    stdout_bytes: int
    stderr_bytes: int
    log_lines: int
    dropped_bytes: int
    clipped: bool
    saved: timedelta | None

    @property
    def log_bytes(self) -> int:
        """How long its log was, dropped parts too."""
        return self.stdout_bytes + self.stderr_bytes

    @property
    def duration(self) -> timedelta | None:
        """Its duration; None before its end."""
        if self.started_at is None or self.completed_at is None:
            return None
        # The clock of its machine may have been set back meanwhile.
        return max(self.completed_at - self.started_at, timedelta())

    def until(self, now: datetime) -> Step:
        """A running step as if it ended now; any other as it is."""
        if self.started_at is None or self.completed_at is not None:
            return self
        return replace(self, completed_at=max(now, self.started_at))


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a step's log, or a part of one that came without its end.

    Attributes:
        number: its place in the step's log, from 0.
        stream: 1 for what the step wrote to stdout, 2 for stderr.
        content: with the line's end, where it has one, so that all of a log joined is what the step wrote.
    """

    number: int
    at: datetime
    stream: int
    content: bytes

    @property
    def text(self) -> str:
        """Its content, with a mark in place of what is no UTF-8."""
        return self.content.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Found:
    """A line of a build's logs in which something was found.

    Attributes:
        step: the number of its step.
        name: its step's.
    """

    step: int
    name: str
    line: LogLine


@dataclass(frozen=True, slots=True)
class SourceRange:
    """Lines of a Dockerfile, from 1; both ends are in it."""

    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class BuildWarning:
    """What BuildKit or its Dockerfile linter warns of."""

    build_id: str
    solve_ref: str
    digest: str
    level: int
    short: str
    detail: tuple[str, ...]
    url: str
    filename: str
    ranges: tuple[SourceRange, ...]

    @property
    def fingerprint(self) -> str:
        """The same for the same warning, however often BuildKit says it; another for what a client reports."""
        ranges = [(one.first_line, one.last_line) for one in self.ranges]
        parts = [
            self.digest,
            self.short,
            self.filename,
            ranges,
            *([CLIENT_REF] if self.solve_ref == CLIENT_REF else []),
        ]
        return hashlib.sha256(json.dumps(parts).encode(errors="replace")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile of a build, as its client sent it or as BuildKit quoted it."""

    build_id: str
    target: str
    filename: str
    contents: str


@dataclass(frozen=True, slots=True)
class Timing:
    """What the client reported of a step after its end."""

    name: str
    started_at: datetime | None
    duration: timedelta
    cached: bool
    error: str | None
    stable_digest: str


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """How much was recorded of a build.

    Attributes:
        state: following while any solve is; incomplete when anything of one is missing.
        missing: why parts are missing, one reason each.
        dropped_bytes: how much of its logs was not kept.
        dropped_steps: how many steps were more than are kept.
        left_out: how much else was, such as warnings, Dockerfiles, and what its client reported.
        first_solve_at: when its client began its first solve.
    """

    state: RecordState
    missing: tuple[str, ...]
    work: BuildWork
    dropped_bytes: int
    dropped_steps: int
    left_out: int = 0
    first_solve_at: datetime | None = None

    @property
    def steps(self) -> int:
        """How many steps are kept."""
        return self.work.steps

    @property
    def cached_steps(self) -> int:
        """How many of them came from the cache."""
        return self.work.cached_steps

    @property
    def saved(self) -> timedelta:
        """What these took when they were last done."""
        return self.work.saved


def record_state(solves: Iterable[Solve]) -> RecordState:
    """How far the record of a build with these solves is."""
    states = {solve.record for solve in solves}
    if RecordState.FOLLOWING in states:
        return RecordState.FOLLOWING
    return RecordState.INCOMPLETE if RecordState.INCOMPLETE in states else RecordState.COMPLETE


def may_log_more(step: Step, now: datetime) -> bool:
    """Whether lines of a step may still come while its build runs. The last ones may come shortly after its end."""
    return step.completed_at is None or now - step.completed_at < _LATE_LINES


def platform_of(name: str, otherwise: str) -> str:
    """The platform that a step's name begins with (``[linux/arm64 build 2/5] RUN …``), or another one.

    Of ``[linux/amd64->arm64 build 2/5]`` it is the first: what runs there makes something for the second.

    The Dockerfile frontend writes it where it builds for several platforms, or for another than the machine's.
    """
    found = _PLATFORM.match(name)
    return found["platform"] if found else otherwise


def work_key(name: str, platform: str, inputs: Iterable[str]) -> str:
    """What stays the same of a step from build to build: its name, platform, and the keys of what it builds on.

    BuildKit's digests don't: those of a context hold the session. The number in ``[build 3/7]`` doesn't count, as it
    changes with steps that come later.

    Args:
        name: the step's.
        platform: the step's.
        inputs: the keys of the steps that it needs.
    """
    plain = _NUMBERED.sub(lambda found: f"[{found['where']}]", name)
    parts = "\0".join((plain, platform, *sorted(inputs)))
    return hashlib.sha256(parts.encode(errors="replace")).hexdigest()[:32]
