"""Limits of a build's record, and how much of them is used up.

What machines did and what the build's client reports have separate budgets, so that a client can't hide what a machine
did.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stoker.domain.steps import BuildWarning, Dockerfile, Step, Timing, Transfer

# Cost of a row or an object besides its texts, in the database and in memory.
STEP_COST = 512
LEAST_LINE_COST = 16
_TRANSFER_COST = 128
_TEXT_COST = 64
_NOTE_COST = 256
_MOST_REFUSED = 1000


@dataclass(frozen=True, slots=True)
class RecordLimits:
    """Limits of a build's record. All are settings.

    Attributes:
        step_log_bytes: of one step's log.
        build_log_bytes: of all logs of a build.
        steps: how many steps its machines did.
        build_bytes: of everything else that its machines did.
        warnings: how many warnings.
        dockerfiles: how many Dockerfiles.
        dockerfile_bytes: of one Dockerfile.
        attestation_bytes: of all attestations of a build, such as its provenance.
        reported_steps: how many steps its client reports.
        reported_bytes: of the logs of these, and of all else that its client reports.
    """

    step_log_bytes: int
    build_log_bytes: int
    steps: int
    build_bytes: int
    warnings: int
    dockerfiles: int
    dockerfile_bytes: int
    attestation_bytes: int
    reported_steps: int
    reported_bytes: int

    @property
    def of_machines(self) -> RecordLimits:
        """The limits of what machines did: a client that reports all the Dockerfiles that it may leaves as many."""
        return replace(self, dockerfiles=2 * self.dockerfiles)

    @property
    def of_reports(self) -> RecordLimits:
        """The limits of what a build's client reports."""
        return replace(
            self, steps=self.reported_steps, build_bytes=self.reported_bytes, build_log_bytes=self.reported_bytes
        )


@dataclass(frozen=True, slots=True)
class RecordSize:
    """The size of a build's record, as the database counts it.

    Attributes:
        steps: how many steps.
        log_bytes: of their logs.
        kept_bytes: of all else.
        left_out: how many steps, transfers, warnings and Dockerfiles were dropped.
    """

    steps: int = 0
    log_bytes: int = 0
    kept_bytes: int = 0
    left_out: int = 0


class RecordBudget:
    """How much of a build's limits is used up, including what isn't stored yet."""

    def __init__(
        self,
        limits: RecordLimits,
        used: RecordSize | None = None,
        *,
        warnings: Iterable[str] = (),
        dockerfiles: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Begin with what is stored.

        Args:
            limits: how much is kept.
            used: how much is stored.
            warnings: the fingerprints of the warnings that are stored.
            dockerfiles: the targets and names of the Dockerfiles that are stored.
        """
        used = used or RecordSize()
        self.limits = limits
        self.steps = used.steps
        self.log_bytes = used.log_bytes
        self.kept_bytes = used.kept_bytes
        self.left_out = self.stored_left_out = used.left_out
        self._warnings = set(warnings)
        self._dockerfiles = set(dockerfiles)
        self._refused: set[tuple[str, str]] = set()

    @property
    def new_left_out(self) -> int:
        """How much was dropped since the last write."""
        return self.left_out - self.stored_left_out

    def has_room(self, cost: int) -> bool:
        """Whether an item of that cost has room. Counts it, or counts it as dropped."""
        if self.kept_bytes + cost > self.limits.build_bytes:
            self.left_out += 1
            return False
        self.kept_bytes += cost
        return True

    def has_room_for_step(self) -> bool:
        """The same of one more step."""
        if self.steps >= self.limits.steps or self.kept_bytes + STEP_COST > self.limits.build_bytes:
            return False
        self.steps += 1
        self.kept_bytes += STEP_COST
        return True

    def has_room_for_line(self, cost: int) -> bool:
        """The same of a log's line; one that is left out is counted with its step."""
        if self.log_bytes + cost > self.limits.build_log_bytes:
            return False
        self.log_bytes += cost
        return True

    def takes_warning(self, warning: BuildWarning) -> bool:
        """The same of a warning; False also for one that is kept already."""
        if warning.fingerprint in self._warnings:
            return False
        if len(self._warnings) >= self.limits.warnings:
            self.left_out += 1
            return False
        if not self.has_room(warning_cost(warning)):
            return False
        self._warnings.add(warning.fingerprint)
        return True

    def takes_dockerfile(self, dockerfile: Dockerfile, *, replace: bool = False) -> bool:
        """The same for a Dockerfile. Without ``replace``, False also if its target and name are known already."""
        name = (dockerfile.target, dockerfile.filename)
        if (name in self._dockerfiles and not replace) or name in self._refused:
            return False
        is_too_much = name not in self._dockerfiles and len(self._dockerfiles) >= self.limits.dockerfiles
        if is_too_much or len(dockerfile.contents.encode(errors="replace")) > self.limits.dockerfile_bytes:
            self.left_out += 1
            # BuildKit says all of a Dockerfile with each warning.
            if len(self._refused) < _MOST_REFUSED:
                self._refused.add(name)
            return False
        if not self.has_room(dockerfile_cost(dockerfile)):
            return False
        self._dockerfiles.add(name)
        return True


def text_cost(text: str) -> int:
    """What a text takes of the database, or of memory, whichever is more: up to four bytes a character."""
    return len(text) if text.isascii() else 4 * len(text)


def line_cost(size: int) -> int:
    """What a line of a log costs: its bytes, and a little at least, as each has its time."""
    return max(size, LEAST_LINE_COST)


def step_cost(step: Step) -> int:
    """What a step costs, without its log and its transfers."""
    texts = text_cost(step.name) + text_cost(step.group) + text_cost(step.error or "")
    return STEP_COST + texts + sum(_TEXT_COST + text_cost(one) for one in step.inputs)


def transfer_cost(transfer: Transfer) -> int:
    """What a transfer costs."""
    return _TRANSFER_COST + text_cost(transfer.id) + text_cost(transfer.name)


def warning_cost(warning: BuildWarning) -> int:
    """What a warning costs."""
    texts = (warning.short, warning.url, warning.filename, *warning.detail)
    return _NOTE_COST + sum(_TEXT_COST + text_cost(one) for one in texts) + 64 * len(warning.ranges)


def dockerfile_cost(dockerfile: Dockerfile) -> int:
    """What a Dockerfile costs."""
    return _NOTE_COST + sum(text_cost(one) for one in (dockerfile.target, dockerfile.filename, dockerfile.contents))


def timing_cost(timing: Timing) -> int:
    """What a timing costs."""
    return _NOTE_COST + sum(text_cost(one) for one in (timing.name, timing.error or "", timing.stable_digest))
