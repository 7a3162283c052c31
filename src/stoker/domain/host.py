"""Findings of the checks of a host."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a finding means for a server on this host."""

    GOOD = "good"
    WEAKER = "weaker"
    """A server runs, with something weaker or missing."""
    UNSAFE = "unsafe"
    """RUN steps can't be kept apart from the host and its networks."""
    MISSING = "missing"
    """A server can't run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: subject, finding, and advice (empty if there is nothing to do)."""

    subject: str
    verdict: Verdict
    found: str
    advice: str = ""


def refusal(findings: tuple[Finding, ...], *, allow_unisolated: bool) -> Finding | None:
    """The first finding that keeps a server from starting, or None."""
    stopping = {Verdict.MISSING} if allow_unisolated else {Verdict.MISSING, Verdict.UNSAFE}
    return next((finding for finding in findings if finding.verdict in stopping), None)
