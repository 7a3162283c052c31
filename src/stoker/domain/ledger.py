"""Turn what a solve's status says into what is stored of it.

BuildKit says a solve's whole status again to whoever asks again. So a ledger begins with what is stored already, counts
what comes in each stream of each step, and passes over what it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stoker.domain.masking import mask_secrets
from stoker.domain.shortening import shortened
from stoker.domain.step_graph import inputs_first
from stoker.domain.steps import BuildWarning, Dockerfile, LogLine, Step, Transfer, platform_of, work_key

if TYPE_CHECKING:
    from stoker.domain.progress import LogEvent, Progress, TransferEvent, VertexEvent, WarningEvent

_CLIPPED = re.compile(rb"\[output clipped, log (?:limit|speed) ")
_STDERR = 2
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_LONGEST_NAME = 4096
_LONGEST_ERROR = 16 * 1024
_LONGEST_TEXT = 4096
_LONGEST_LINE = 16 * 1024
_MOST_INPUTS = 1000
_MOST_TRANSFERS = 200
_MOST_WARNINGS = 1000
_MOST_DETAILS = 20
_MOST_DROPPED = 100_000


@dataclass(frozen=True, slots=True)
class RecordLimits:
    """How much is kept of a build. All are settings.

    Attributes:
        step_log_bytes: of one step's log.
        build_log_bytes: of all logs of a build.
        steps: how many steps of a build.
        dockerfile_bytes: of one Dockerfile.
        attestation_bytes: of all that is attested of a build, such as its provenance.
    """

    step_log_bytes: int = 4 * 1024 * 1024
    build_log_bytes: int = 64 * 1024 * 1024
    steps: int = 20_000
    dockerfile_bytes: int = 1024 * 1024
    attestation_bytes: int = 8 * 1024 * 1024


@dataclass(slots=True)
class BuildBudget:
    """What a build has used of its limits, in all of its solves.

    Attributes:
        steps: the number of its newest step.
        log_bytes: how much of its logs is kept.
    """

    steps: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be stored together, so that a record is never between two states.

    Attributes:
        lines: the new lines, by their step's number.
        dropped_steps: all of the solve's so far.
    """

    steps: tuple[Step, ...]
    lines: dict[int, list[LogLine]]
    warnings: tuple[BuildWarning, ...]
    dockerfiles: tuple[Dockerfile, ...]
    dropped_steps: int


@dataclass(slots=True)
class _Stream:
    """One stream of a step's log.

    Attributes:
        had: how much was stored when the ledger began.
        came: how much came since, over again or new.
        stored: how much is stored or dropped.
        rest: the beginning of a line whose end hasn't come, and when it began.
    """

    had: int
    came: int = 0
    stored: int = 0
    rest: bytes = b""
    rest_at: datetime | None = None


@dataclass(slots=True)
class _Entry:
    step: Step
    streams: dict[int, _Stream]
    transfers: dict[str, Transfer]
    lines: list[LogLine] = field(default_factory=list["LogLine"])
    log_lines: int = 0
    kept_bytes: int = 0
    dropped_bytes: int = 0
    clipped: bool = False
    dirty: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether the step has begun, as far as anything shows it."""
        return bool(self.step.number or self.step.started_at or self.step.completed_at or self.lines or self.transfers)


class SolveLedger:
    """The steps of one solve, and what of them is not stored yet."""

    def __init__(
        self,
        *,
        build_id: str,
        ref: str,
        platform: str,
        limits: RecordLimits,
        budget: BuildBudget,
        stored: Iterable[Step] = (),
        replays: bool = True,
    ) -> None:
        """Begin with what is stored of the solve.

        Args:
            build_id: the solve's build.
            ref: the solve's.
            platform: its machine's.
            limits: how much is kept.
            budget: what the build has used of it.
            stored: the solve's steps that are stored.
            replays: whether all that is stored comes once more before anything new.
        """
        self._build_id = build_id
        self.ref = ref
        self._platform = platform
        self._limits = limits
        self._budget = budget
        self._entries: dict[str, _Entry] = {}
        self._unnumbered = 0
        self._dropped_digests: set[str] = set()
        self._warnings: list[BuildWarning] = []
        self._dockerfiles: dict[str, Dockerfile] = {}
        self._warned = 0
        self._keys: dict[str, str] = {}
        self.pending_bytes = 0
        self.has_grown = False
        for step in stored:
            had = {1: step.stdout_bytes, _STDERR: step.stderr_bytes}
            streams = {number: _Stream(size, 0 if replays else size, size) for number, size in had.items()}
            entry = _Entry(step, streams, {one.id: one for one in step.transfers})
            entry.kept_bytes = step.log_bytes - step.dropped_bytes
            entry.log_lines, entry.dropped_bytes, entry.clipped = step.log_lines, step.dropped_bytes, step.clipped
            self._entries[step.digest] = entry

    def apply(self, progress: Progress) -> None:
        """Take in a message."""
        for vertex in progress.vertexes:
            self._vertex(vertex)
        for transfer in progress.transfers:
            self._transfer(transfer)
        for log in progress.logs:
            self._log(log)
        for warning in progress.warnings:
            self._warning(warning)

    def take(self, *, final: bool = False) -> Batch:
        """What is new since the last time.

        Steps are announced in no order that means anything, so they are numbered as they begin. With ``final``, those
        that never began come after the others, and lines whose end hasn't come are as they are.
        """
        for entry in self._entries.values():
            if final or entry.step.completed_at is not None:
                self._flush(entry)
            if final and entry.step.work_key != self._work_key(entry.step.digest):
                entry.dirty = True
        changed = [entry for entry in self._entries.values() if entry.dirty and (final or entry.is_under_way)]
        for entry in sorted(changed, key=lambda entry: entry.step.started_at or _NEVER):
            if entry.step.number == 0:
                self._unnumbered -= 1
                self._budget.steps += 1
                entry.step = replace(entry.step, number=self._budget.steps)
            entry.step = replace(
                entry.step,
                work_key=self._work_key(entry.step.digest),
                transfers=tuple(entry.transfers.values()),
                stdout_bytes=entry.streams[1].stored,
                stderr_bytes=entry.streams[_STDERR].stored,
                log_lines=entry.log_lines,
                dropped_bytes=entry.dropped_bytes,
                clipped=entry.clipped,
            )
        self.has_grown = self.has_grown or bool(changed)
        batch = Batch(
            steps=tuple(entry.step for entry in changed),
            lines={entry.step.number: entry.lines for entry in changed if entry.lines},
            warnings=tuple(self._warnings),
            dockerfiles=tuple(self._dockerfiles.values()),
            dropped_steps=len(self._dropped_digests),
        )
        for entry in changed:
            entry.dirty = False
            entry.lines = []
        self._warnings, self._dockerfiles, self.pending_bytes = [], {}, 0
        return batch

    def cached_steps(self) -> list[Step]:
        """The steps that came from the cache."""
        return [entry.step for entry in self._entries.values() if entry.step.cached]

    def _entry(self, digest: str) -> _Entry | None:
        """The step of that digest, a new one if need be; None when there are too many."""
        found = self._entries.get(digest)
        if found is None:
            if self._budget.steps + self._unnumbered >= self._limits.steps or len(digest) > _LONGEST_TEXT:
                if len(self._dropped_digests) < _MOST_DROPPED:
                    self._dropped_digests.add(digest[:_LONGEST_TEXT])
                return None
            self._unnumbered += 1
            found = _Entry(_blank(self._build_id, self.ref, digest, self._platform), {1: _Stream(0), 2: _Stream(0)}, {})
            found.dirty = True
            self._entries[digest] = found
        return found

    def _vertex(self, event: VertexEvent) -> None:
        entry = self._entry(event.digest)
        if entry is None:
            return
        name = _stored(event.name, _LONGEST_NAME)
        before = entry.step
        # A step may go on after it was completed: what it needs may have to be done after all.
        begun = min(filter(None, (before.started_at, event.started_at)), default=None)
        after = replace(
            before,
            name=name,
            group=_stored(event.group, _LONGEST_NAME),
            platform=platform_of(name, self._platform),
            started_at=begun,
            completed_at=event.completed_at,
            cached=event.cached,
            error=_stored(event.error, _LONGEST_ERROR) if event.error else None,
            inputs=event.inputs[:_MOST_INPUTS],
        )
        if after != before:
            entry.step, entry.dirty = after, True
        if (after.name, after.platform, after.inputs) != (before.name, before.platform, before.inputs):
            self._keys.clear()

    def _transfer(self, event: TransferEvent) -> None:
        entry = self._entry(event.digest)
        one = event.transfer
        if entry is None or (one.id not in entry.transfers and len(entry.transfers) >= _MOST_TRANSFERS):
            return
        one = replace(one, id=_stored(one.id, _LONGEST_TEXT), name=_stored(one.name, _LONGEST_TEXT))
        if entry.transfers.get(one.id) != one:
            entry.transfers[one.id] = one
            entry.dirty = True

    def _log(self, event: LogEvent) -> None:
        entry = self._entry(event.digest)
        if entry is None:
            return
        number = _STDERR if event.stream == _STDERR else 1
        stream = entry.streams[number]
        # What was stored before comes again first.
        again = max(0, min(len(event.content), stream.had - stream.came))
        stream.came += len(event.content)
        content = event.content[again:]
        if not content:
            return
        entry.dirty = True
        if _CLIPPED.search(content):
            entry.clipped = True
        stream.rest_at = stream.rest_at or event.at
        *whole, rest = (stream.rest + content).split(b"\n")
        for line in whole:
            self._line(entry, number, stream.rest_at, line + b"\n")
            stream.rest_at = event.at
        stream.rest = rest
        while len(stream.rest) > _LONGEST_LINE:
            self._line(entry, number, stream.rest_at, stream.rest[:_LONGEST_LINE])
            stream.rest = stream.rest[_LONGEST_LINE:]
        if not stream.rest:
            stream.rest_at = None

    def _flush(self, entry: _Entry) -> None:
        for number, stream in entry.streams.items():
            if stream.rest and stream.rest_at is not None:
                self._line(entry, number, stream.rest_at, stream.rest)
                stream.rest, stream.rest_at = b"", None
                entry.dirty = True

    def _line(self, entry: _Entry, number: int, at: datetime, content: bytes) -> None:
        size = len(content)
        entry.streams[number].stored += size
        full = entry.kept_bytes + size > self._limits.step_log_bytes
        # After the first gap nothing more is kept, so that what is kept has no holes.
        if entry.dropped_bytes or full or self._budget.log_bytes + size > self._limits.build_log_bytes:
            entry.dropped_bytes += size
            return
        entry.lines.append(LogLine(entry.log_lines, at, number, content))
        entry.log_lines += 1
        entry.kept_bytes += size
        self._budget.log_bytes += size
        self.pending_bytes += size

    def _warning(self, event: WarningEvent) -> None:
        if self._warned >= _MOST_WARNINGS:
            return
        self._warned += 1
        self._warnings.append(
            BuildWarning(
                build_id=self._build_id,
                solve_ref=self.ref,
                digest=event.digest,
                level=event.level,
                short=_stored(event.short, _LONGEST_TEXT),
                detail=tuple(_stored(one, _LONGEST_TEXT) for one in event.detail[:_MOST_DETAILS]),
                url=_stored(event.url, _LONGEST_TEXT),
                filename=_stored(event.filename, _LONGEST_TEXT),
                ranges=event.ranges[:_MOST_DETAILS],
            )
        )
        if event.source and len(event.source) <= self._limits.dockerfile_bytes:
            self._dockerfiles[event.filename] = Dockerfile(self._build_id, "", event.filename, event.source)

    def _work_key(self, digest: str) -> str:
        """The key of a step's work, from all that it builds on; what isn't known of that stays out."""
        # Steps that came from the cache begin before their inputs do, so the order of steps says nothing here.
        for one in inputs_first([digest], self._without_key):
            if one not in self._keys:
                step = self._entries[one].step
                keys = [self._keys[needed] for needed in step.inputs if needed in self._keys]
                self._keys[one] = work_key(step.name, step.platform, keys)
        return self._keys[digest]

    def _without_key(self, digest: str) -> list[str]:
        inputs = () if digest in self._keys else self._entries[digest].step.inputs
        return [one for one in inputs if one in self._entries and one not in self._keys]


def _blank(build_id: str, ref: str, digest: str, platform: str) -> Step:
    return Step(
        build_id=build_id,
        number=0,
        solve_ref=ref,
        digest=digest,
        name="",
        group="",
        platform=platform,
        started_at=None,
        completed_at=None,
        cached=False,
        error=None,
        inputs=(),
        work_key="",
        transfers=(),
        stdout_bytes=0,
        stderr_bytes=0,
        log_lines=0,
        dropped_bytes=0,
        clipped=False,
        saved=None,
    )


def _stored(text: str, most: int) -> str:
    """What is kept of a text that a build says."""
    return shortened(mask_secrets(text), most)
