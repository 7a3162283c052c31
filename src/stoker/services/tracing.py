"""Spans of distributed traces: what the API, the fleet and the gateway tell of how long what took, and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    Attributes = Mapping[str, str | int | float | bool]


class Span(Protocol):
    """Something that takes time."""

    def end(self, problem: str | None, attributes: Attributes) -> None:
        """It is over.

        Args:
            problem: what went wrong, if anything did; no secret.
            attributes: what is known of it now.
        """
        ...


class Tracer(Protocol):
    """Begins spans. Each belongs to the trace that its request came with, or to its cause's, or begins one."""

    def begin_call(self, name: str, headers: Mapping[str, str]) -> Span:
        """A request with these headers is handled from now on. What it causes belongs to its trace."""
        ...

    def begin_work(self, name: str, attributes: Attributes, *, cause: str, headers: Mapping[str, str]) -> Span:
        """Something begins that is no request of its own.

        Args:
            name: of what kind of work this is.
            attributes: what is known of it.
            cause: a key of `note_cause`.
            headers: that name a trace, which counts before the cause.
        """
        ...

    def note_cause(self, key: str) -> None:
        """Remember, under a key, that the request which is being handled causes what will be done for it."""
        ...

    def pass_cause(self, key: str, other: str) -> None:
        """Remember that what causes one thing causes another as well."""
        ...


class NoSpan:
    """Tells nobody."""

    def end(self, problem: str | None, attributes: Attributes) -> None:
        """Nothing."""


class NoTracer:
    """Traces nothing."""

    def begin_call(self, name: str, headers: Mapping[str, str]) -> Span:
        """Nothing."""
        return _NO_SPAN

    def begin_work(self, name: str, attributes: Attributes, *, cause: str, headers: Mapping[str, str]) -> Span:
        """Nothing."""
        return _NO_SPAN

    def note_cause(self, key: str) -> None:
        """Nothing."""

    def pass_cause(self, key: str, other: str) -> None:
        """Nothing."""


_NO_SPAN = NoSpan()


def build_cause(build_id: str) -> str:
    """What is done for a build."""
    return f"build:{build_id}"


def machine_cause(machine_id: str) -> str:
    """What is done for a machine."""
    return f"machine:{machine_id}"
