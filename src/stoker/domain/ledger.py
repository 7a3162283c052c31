"""Turn what a solve's status says into what is stored of it.

BuildKit repeats a solve's whole status in each call. So a ledger begins with what is stored already, counts
what comes in each stream of each step, and passes over what it has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stoker.domain.emulated_steps import emulated_platform, emulation_warning
from stoker.domain.kept_steps import Batch
from stoker.domain.masking import mask_secrets
from stoker.domain.record_limits import RecordSize, dockerfile_cost, warning_cost
from stoker.domain.shortening import shortened
from stoker.domain.steps import CLIENT_REF, BuildWarning, Dockerfile, platform_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stoker.domain.kept_steps import Entry, KeptSteps
    from stoker.domain.progress import LogEvent, Progress, TransferEvent, VertexEvent, WarningEvent

_STDERR = 2
_LONGEST_NAME = 4096
_LONGEST_ERROR = 16 * 1024
_LONGEST_TEXT = 1024
_MOST_INPUTS = 1000
_MOST_TRANSFERS = 200
_MOST_DETAILS = 20
_PIECE = 16 * 1024
# How much is done between two turns of the event loop: about that many lines, or events.
_AT_ONCE = 50
_BYTES_OF_ONE = 512


class SolveLedger:
    """What one solve says, on its way into the steps that are kept."""

    def __init__(
        self,
        ref: str,
        platform: str,
        build_id: str,
        kept: KeptSteps,
        *,
        replays: bool = True,
        native: frozenset[str] = frozenset(),
    ) -> None:
        """Begin with what is stored of the solve.

        Args:
            ref: the solve's.
            platform: its machine's.
            build_id: the solve's build.
            kept: the steps of the build on that machine.
            replays: whether all that is stored comes once more before anything new.
            native: the architectures that machines' hosts run themselves; none if nothing is to be said of emulation.
        """
        self.ref = ref
        self.kept = kept
        self.has_grown = False
        self._platform = platform
        self._build_id = build_id
        self._replays = replays
        self._native = native
        self._seen: dict[str, Entry] = {}
        self._came: dict[tuple[str, int], int] = {}
        self._dropped_steps = 0
        self._warnings: list[BuildWarning] = []
        self._dockerfiles: list[Dockerfile] = []
        self._is_open = True

    @property
    def pending_bytes(self) -> int:
        """How much of logs waits to be stored."""
        return self.kept.pending_bytes

    def apply(self, progress: Progress) -> None:
        """Take in a message."""
        for _ in self.applying(progress):
            pass

    def applying(self, progress: Progress) -> Iterator[None]:
        """Take in a message, a part of it each time, so that others have their turn between two of them."""
        work = 0
        for vertex in progress.vertexes:
            self._vertex(vertex)
            work += 1 + (len(vertex.name) + len(vertex.error)) // _BYTES_OF_ONE
            if work >= _AT_ONCE:
                work = 0
                yield
        for transfer in progress.transfers:
            self._transfer(transfer)
            work += 1 + (len(transfer.transfer.id) + len(transfer.transfer.name)) // _BYTES_OF_ONE
            if work >= _AT_ONCE:
                work = 0
                yield
        for log in progress.logs:
            for begin in range(0, len(log.content), _PIECE):
                piece = log.content[begin : begin + _PIECE]
                self._log(log, piece)
                work += 1 + piece.count(b"\n") + len(piece) // _BYTES_OF_ONE
                if work >= _AT_ONCE:
                    work = 0
                    yield
        for warning in progress.warnings:
            self._warning(warning)
            yield

    def batches(self, *, final: bool = False) -> Iterator[Batch | None]:
        """What is new since the last time, some after the other; with None, there is more to do before the next.

        With ``final``, steps that never began come after the others, and lines whose end hasn't come are as they are.
        """
        if final:
            for _ in self.kept.finish(self._seen):
                yield None
        for batch in self.kept.take(self._seen if final else ()):
            if batch is None:
                yield None
                continue
            self.has_grown = True
            yield self._with_notes(batch)
        left_out = self.kept.budget.left_out - self.kept.budget.stored_left_out
        if self._warnings or self._dockerfiles or left_out or (final and self._dropped_steps):
            self.kept.budget.stored_left_out += left_out
            yield self._with_notes(Batch((), {}, (), (), 0, RecordSize(left_out=left_out)))

    def give_back(self, batch: Batch) -> None:
        """A batch could not be stored; what is in it is new still."""
        self._warnings = [*batch.warnings, *self._warnings]
        self._dockerfiles = [*batch.dockerfiles, *self._dockerfiles]
        notes = _notes_cost(batch)
        self.kept.give_back(replace(batch, growth=replace(batch.growth, kept_bytes=batch.growth.kept_bytes - notes)))

    def close(self) -> None:
        """Nothing more comes by this ledger."""
        if self._is_open:
            self._is_open = False
            for entry in self._seen.values():
                entry.followers -= 1

    def _with_notes(self, batch: Batch) -> Batch:
        batch = replace(
            batch,
            warnings=tuple(self._warnings),
            dockerfiles=tuple(self._dockerfiles),
            dropped_steps=self._dropped_steps,
        )
        self._warnings, self._dockerfiles = [], []
        return replace(batch, growth=replace(batch.growth, kept_bytes=batch.growth.kept_bytes + _notes_cost(batch)))

    def _entry(self, digest: str) -> Entry | None:
        """The step of that digest, a new one if need be; None when there are too many."""
        found = self._seen.get(digest)
        if found is not None:
            return found
        found = self.kept.find(digest) or self.kept.add(digest, self.ref)
        if found is None:
            if self.kept.drop(digest):
                self._dropped_steps += 1
                self.kept.budget.left_out += self.ref == CLIENT_REF
            return None
        found.followers += 1
        self._seen[digest] = found
        return found

    def _vertex(self, event: VertexEvent) -> None:
        entry = self._entry(event.digest)
        if entry is None or not self._is_news(entry, event):
            return
        before = entry.step
        after = replace(before, completed_at=event.completed_at, cached=event.cached, error=_error(event.error))
        if before.cached and not event.cached and before.completed_at is not None:
            # Another solve of the build did it after all.
            after = replace(after, started_at=event.started_at)
        else:
            # A step may go on after it was completed: what it needs may have to be done after all.
            begun = min(filter(None, (before.started_at, event.started_at)), default=None)
            after = replace(after, started_at=begun)
        if before.solve_ref == self.ref or not before.name:
            name = _text(event.name, _LONGEST_NAME)
            after = replace(
                after,
                name=name,
                group=_text(event.group, _LONGEST_NAME),
                platform=platform_of(name, self._platform),
                inputs=event.inputs[:_MOST_INPUTS],
            )
        entry.said_by = self.ref
        self.kept.change(entry, after)
        emulated = emulated_platform(after, self._native)
        if emulated is not None:
            self._warn(emulation_warning(self._build_id, self.ref, emulated))

    def _is_news(self, entry: Entry, event: VertexEvent) -> bool:
        """Whether an event says more than is known: another solve that shares the step may know less of it."""
        before = entry.step
        if entry.said_by in ("", self.ref) or before.completed_at is None:
            return True
        return event.completed_at is not None and (before.cached or not event.cached)

    def _transfer(self, event: TransferEvent) -> None:
        entry = self._entry(event.digest)
        one = event.transfer
        one = replace(one, id=_text(one.id, _LONGEST_TEXT), name=_text(one.name, _LONGEST_TEXT))
        if entry is None or (one.id not in entry.transfers and len(entry.transfers) >= _MOST_TRANSFERS):
            return
        self.kept.change_transfer(entry, one)

    def _log(self, event: LogEvent, content: bytes) -> None:
        entry = self._entry(event.digest)
        if entry is None:
            return
        stream = _STDERR if event.stream == _STDERR else 1
        if self._replays:
            # What is known already comes again first, and by each of the solves that share the step.
            place = (event.digest, stream)
            came = self._came.get(place, 0)
            self._came[place] = came + len(content)
            content = content[max(0, self.kept.position(entry, stream) - came) :]
        if content:
            self.kept.write(entry, stream, event.at, content)

    def _warn(self, warning: BuildWarning) -> None:
        if self.kept.budget.takes_warning(warning):
            self._warnings.append(warning)

    def _warning(self, event: WarningEvent) -> None:
        details = event.detail[:_MOST_DETAILS]
        warning = BuildWarning(
            build_id=self._build_id,
            solve_ref=self.ref,
            digest=event.digest[:_LONGEST_TEXT],
            level=event.level,
            short=_text(event.short, _LONGEST_TEXT),
            detail=tuple(_text(one, _LONGEST_TEXT) for one in details),
            url=_text(event.url, _LONGEST_TEXT),
            filename=_text(event.filename, _LONGEST_TEXT),
            ranges=event.ranges[:_MOST_DETAILS],
        )
        self._warn(warning)
        if event.source:
            dockerfile = Dockerfile(self._build_id, "", warning.filename, event.source)
            if self.kept.budget.takes_dockerfile(dockerfile):
                self._dockerfiles.append(dockerfile)


def _error(text: str) -> str | None:
    return _text(text, _LONGEST_ERROR) if text else None


def _text(text: str, most: int) -> str:
    return shortened(mask_secrets(text), most)


def _notes_cost(batch: Batch) -> int:
    return sum(map(warning_cost, batch.warnings)) + sum(map(dockerfile_cost, batch.dockerfiles))


def digests_of(progress: Progress) -> set[str]:
    """The digests of the steps that a message is about."""
    return {one.digest for one in (*progress.vertexes, *progress.transfers, *progress.logs)}
