"""The steps of a build's solves on one machine, and what of them is not stored yet.

Solves share steps: BuildKit does a step that several solves need once, and reports its output to each of them. So
steps and logs are kept once for all solves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stoker.domain.record_limits import RecordSize, line_cost, step_cost, transfer_cost
from stoker.domain.solve_history import masked_step
from stoker.domain.steps import CLIENT_REF, LogLine, Step
from stoker.domain.work_keys import WorkKeys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from stoker.domain.record_limits import RecordBudget
    from stoker.domain.steps import BuildWarning, Dockerfile, Transfer

_CLIPPED = re.compile(rb"\[output clipped, log (?:limit|speed) ")
_STDOUT, _STDERR = 1, 2
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_LONGEST_LINE = 16 * 1024
_LONGEST_DIGEST = 256
_MOST_DROPPED = 100_000
_STEPS_AT_ONCE = 250
_LINES_AT_ONCE = 4000
_FINISHED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be stored together, so that a record is never between two states.

    Attributes:
        lines: the new lines, by their step's number.
        dropped_steps: all of the solve's so far.
        growth: how much more is kept of the build with it.
    """

    steps: tuple[Step, ...]
    lines: dict[int, list[LogLine]]
    warnings: tuple[BuildWarning, ...]
    dockerfiles: tuple[Dockerfile, ...]
    dropped_steps: int
    growth: RecordSize


@dataclass(slots=True)
class StepNumbers:
    """The numbers of a build's steps, from 1, whoever did or reported them."""

    last: int = 0

    def next(self) -> int:
        """The next one."""
        self.last += 1
        return self.last


@dataclass(slots=True)
class _Stream:
    """One stream of a step's log.

    Attributes:
        stored: how much is stored or dropped.
        rest: the beginning of a line whose end hasn't come, and when it began.
    """

    stored: int = 0
    rest: bytes = b""
    rest_at: datetime | None = None


@dataclass(slots=True)
class Entry:
    """A step, and what of it isn't stored.

    Attributes:
        followers: how many open ledgers have it.
        said_by: the solve that said last how far it is.
        cost: what is counted of it, and how much of that is stored.
    """

    step: Step
    streams: dict[int, _Stream]
    transfers: dict[str, Transfer]
    lines: list[LogLine] = field(default_factory=list["LogLine"])
    log_lines: int = 0
    log_cost: int = 0
    dropped_bytes: int = 0
    clipped: bool = False
    followers: int = 0
    said_by: str = ""
    cost: int = 0
    stored_cost: int = 0
    is_stored: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether the step has begun, as far as anything shows it."""
        return bool(self.step.number or self.step.started_at or self.step.completed_at or self.lines or self.transfers)


class KeptSteps:
    """Steps by their digests, within the limits of their build."""

    def __init__(
        self, build_id: str, platform: str, budget: RecordBudget, numbers: StepNumbers, stored: Iterable[Step] = ()
    ) -> None:
        """Begin with what is stored of them.

        Args:
            build_id: the build.
            platform: its machine's.
            budget: what is used up of the build's limits; all that is stored is counted in it.
            numbers: of the build's steps.
            stored: the steps that are stored.
        """
        self.budget = budget
        self.pending_bytes = 0
        self._build_id = build_id
        self._platform = platform
        self._numbers = numbers
        self._entries: dict[str, Entry] = {}
        self._changed: dict[str, Entry] = {}
        # Hashes of digests, as there may be a great many.
        self._dropped: set[int] = set()
        self._keys = WorkKeys(self._entries)
        self._owed = RecordSize()
        self._secrets: tuple[str, ...] = ()
        for step in stored:
            self.add_stored(step)

    def add_stored(self, step: Step) -> None:
        """Take in a step that is stored, unless it is known."""
        if step.digest in self._entries:
            return
        streams = {_STDOUT: _Stream(step.stdout_bytes), _STDERR: _Stream(step.stderr_bytes)}
        entry = Entry(step, streams, {one.id: one for one in step.transfers}, is_stored=True)
        entry.log_cost = max(step.log_bytes - step.dropped_bytes, line_cost(0) * step.log_lines)
        entry.log_lines, entry.dropped_bytes, entry.clipped = step.log_lines, step.dropped_bytes, step.clipped
        entry.cost = entry.stored_cost = step_cost(step) + sum(map(transfer_cost, step.transfers))
        self._entries[step.digest] = entry
        self._keys.link(step, ())

    def find(self, digest: str) -> Entry | None:
        """The step of that digest."""
        return self._entries.get(digest)

    def add(self, digest: str, ref: str) -> Entry | None:
        """A new step; None when there is no room for it."""
        if len(digest) > _LONGEST_DIGEST or not self.budget.has_room_for_step():
            return None
        entry = Entry(_blank(self._build_id, ref, digest, self._platform), {1: _Stream(), 2: _Stream()}, {})
        entry.cost = step_cost(entry.step)
        self._entries[digest] = self._changed[digest] = entry
        self._keys.drop(digest)
        return entry

    def drop(self, digest: str) -> bool:
        """Leave a step out; whether it is another one than those that were left out before."""
        mark = hash(digest)
        if mark in self._dropped or len(self._dropped) >= _MOST_DROPPED:
            return False
        self._dropped.add(mark)
        return True

    def change(self, entry: Entry, after: Step) -> None:
        """Replace a step. Texts for which there is no room keep their old values."""
        before = entry.step
        after = masked_step(after, self._secrets)
        if after == before:
            return
        growth = step_cost(after) - step_cost(before)
        if growth > 0 and not self.budget.has_room(growth):
            after = replace(after, name=before.name, group=before.group, inputs=before.inputs)
            # What it failed with is said in any case, if only in a few words.
            after = replace(after, error=None if after.error is None else after.error[-200:])
        else:
            entry.cost += growth
            if growth < 0:
                self.budget.kept_bytes += growth
        entry.step = after
        self._changed[after.digest] = entry
        if (after.name, after.platform, after.inputs) != (before.name, before.platform, before.inputs):
            self._keys.link(after, before.inputs)
            self._keys.drop(after.digest)

    def change_transfer(self, entry: Entry, transfer: Transfer) -> None:
        """How far a transfer of a step is."""
        before = entry.transfers.get(transfer.id)
        if before == transfer:
            return
        growth = transfer_cost(transfer) - (0 if before is None else transfer_cost(before))
        if growth > 0 and not self.budget.has_room(growth):
            return
        entry.cost += max(growth, 0)
        entry.transfers[transfer.id] = transfer
        self._changed[entry.step.digest] = entry

    def position(self, entry: Entry, stream: int) -> int:
        """How much of a stream is known."""
        one = entry.streams[stream]
        return one.stored + len(one.rest)

    def write(self, entry: Entry, number: int, at: datetime, content: bytes) -> None:
        """A step wrote more to a stream."""
        self._changed[entry.step.digest] = entry
        stream = entry.streams[number]
        if _CLIPPED.search(content):
            entry.clipped = True
        if entry.dropped_bytes:
            size = len(stream.rest) + len(content)
            stream.stored += size
            entry.dropped_bytes += size
            stream.rest, stream.rest_at = b"", None
            return
        begun = stream.rest_at or at
        *whole, rest = (stream.rest + content).split(b"\n")
        for line in whole:
            self._line(entry, number, begun, line + b"\n")
            begun = at
        while len(rest) > _LONGEST_LINE:
            size = _cut(rest)
            self._line(entry, number, begun, rest[:size])
            rest = rest[size:]
        stream.rest, stream.rest_at = rest, begun if rest else None

    def mask(self, secrets: Sequence[str]) -> None:
        """Mask more secrets, in the steps that are known and in all later ones."""
        self._secrets = tuple(dict.fromkeys((*self._secrets, *secrets)))
        for entry in self._entries.values():
            self.change(entry, entry.step)

    def finish(self, digests: Collection[str]) -> Iterator[None]:
        """Complete the steps of a solve that ended, in parts.

        Lines without an end are complete if no other solve follows their step, and work keys are final.
        """
        for count, digest in enumerate(digests, 1):
            entry = self._entries[digest]
            if entry.followers <= 1 or entry.step.completed_at is not None:
                self._flush(entry)
            yield from self._keys.find(digest)
            if entry.step.work_key != self._keys.known(digest):
                self._changed[digest] = entry
            if count % _FINISHED_AT_ONCE == 0:
                yield

    def take(self, also: Collection[str] = ()) -> Iterator[Batch | None]:
        """Yield what is new since the last call, in batches without warnings and Dockerfiles.

        Steps are announced in no order that means anything, so they are numbered as they begin. Those of ``also`` are
        taken even if they never began. With None, there is more to do before the next batch.
        """
        changed = [one for digest, one in self._changed.items() if one.is_under_way or digest in also]
        changed.sort(key=lambda entry: entry.step.started_at or _NEVER)
        steps: list[Step] = []
        lines: dict[int, list[LogLine]] = {}
        kept = new = count = 0
        for entry in changed:
            yield from self._keys.find(entry.step.digest)
            if entry.step.completed_at is not None:
                self._flush(entry)
            # Another ledger may have taken it meanwhile.
            if self._changed.pop(entry.step.digest, None) is None:
                continue
            steps.append(self._taken(entry))
            new += not entry.is_stored
            kept += entry.cost - entry.stored_cost
            entry.stored_cost, entry.is_stored = entry.cost, True
            if entry.lines:
                lines[entry.step.number], entry.lines = entry.lines, []
                count += len(lines[entry.step.number])
            if len(steps) >= _STEPS_AT_ONCE or count >= _LINES_AT_ONCE:
                yield self._batch(steps, lines, new, kept)
                steps, lines, kept, new, count = [], {}, 0, 0, 0
        if steps:
            yield self._batch(steps, lines, new, kept)

    def give_back(self, batch: Batch) -> None:
        """Count a batch as new again, because it could not be stored."""
        for step in batch.steps:
            entry = self._entries[step.digest]
            entry.lines = [*batch.lines.get(step.number, []), *entry.lines]
            self._changed[step.digest] = entry
        self.pending_bytes += batch.growth.log_bytes
        self._owed = batch.growth

    def _batch(self, steps: list[Step], lines: dict[int, list[LogLine]], new: int, kept: int) -> Batch:
        log = sum(line_cost(len(line.content)) for each in lines.values() for line in each)
        self.pending_bytes = max(0, self.pending_bytes - log)
        left_out = self.budget.left_out - self.budget.stored_left_out
        self.budget.stored_left_out = self.budget.left_out
        owed, self._owed = self._owed, RecordSize()
        growth = RecordSize(owed.steps + new, owed.log_bytes + log, owed.kept_bytes + kept, owed.left_out + left_out)
        return Batch(tuple(steps), lines, (), (), 0, growth)

    def _taken(self, entry: Entry) -> Step:
        number = entry.step.number or self._numbers.next()
        entry.step = replace(
            entry.step,
            number=number,
            work_key="" if entry.step.solve_ref == CLIENT_REF else self._keys.known(entry.step.digest),
            transfers=tuple(entry.transfers.values()),
            stdout_bytes=entry.streams[_STDOUT].stored,
            stderr_bytes=entry.streams[_STDERR].stored,
            log_lines=entry.log_lines,
            dropped_bytes=entry.dropped_bytes,
            clipped=entry.clipped,
        )
        return entry.step

    def _flush(self, entry: Entry) -> None:
        for number, stream in entry.streams.items():
            if stream.rest and stream.rest_at is not None:
                rest, at = stream.rest, stream.rest_at
                stream.rest, stream.rest_at = b"", None
                self._line(entry, number, at, rest)
                self._changed[entry.step.digest] = entry

    def _line(self, entry: Entry, number: int, at: datetime, content: bytes) -> None:
        while len(content) > _LONGEST_LINE:
            size = _cut(content)
            self._piece(entry, number, at, content[:size])
            content = content[size:]
        self._piece(entry, number, at, content)

    def _piece(self, entry: Entry, number: int, at: datetime, content: bytes) -> None:
        size = len(content)
        entry.streams[number].stored += size
        cost = line_cost(size)
        full = entry.log_cost + cost > self.budget.limits.step_log_bytes
        # After the first gap nothing more is kept, so that what is kept has no holes.
        if entry.dropped_bytes or full or not self.budget.has_room_for_line(cost):
            entry.dropped_bytes += size
            return
        entry.lines.append(LogLine(entry.log_lines, at, number, content))
        entry.log_lines += 1
        entry.log_cost += cost
        self.pending_bytes += cost


def _cut(line: bytes) -> int:
    """How much of a line that is too long is taken at once: whole characters, where it is UTF-8."""
    size = _LONGEST_LINE
    # Within a character, all bytes but the first begin with the bits 10 (RFC 3629, section 3).
    while size > _LONGEST_LINE - 3 and line[size] & 0xC0 == 0x80:
        size -= 1
    return size if line[size] & 0xC0 != 0x80 else _LONGEST_LINE


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
