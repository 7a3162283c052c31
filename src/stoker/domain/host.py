"""What a look at a host found: what it has of all that machines need, and what it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a finding means for a server on this host."""

    GOOD = "good"
    WEAKER = "weaker"
    """A server runs, and does something less well or not at all."""
    UNSAFE = "unsafe"
    """RUN steps can't be kept apart from the host and its networks."""
    MISSING = "missing"
    """A server can't run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is, what was found, and what to do about it (empty when nothing is)."""

    subject: str
    verdict: Verdict
    found: str
    advice: str = ""


def refusal(findings: tuple[Finding, ...], *, allow_unisolated: bool) -> Finding | None:
    """The first finding for which a server may not start; None when it may."""
    stopping = {Verdict.MISSING} if allow_unisolated else {Verdict.MISSING, Verdict.UNSAFE}
    return next((finding for finding in findings if finding.verdict in stopping), None)
