"""The meter: services, the fleet and the gateway report events to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from stoker.domain.builds import BuildStatus
    from stoker.domain.platforms import Platform


class Meter(Protocol):
    """Counts events. No argument may name a build, a project or a person, as each would be a series of its own."""

    def build_ended(self, status: BuildStatus) -> None:
        """A build ended."""
        ...

    def endpoint_given(self, platform: Platform, seconds: float) -> None:
        """A build got an endpoint, so long after it first asked for it."""
        ...

    def machine_start_ended(self, seconds: float, *, is_ready: bool) -> None:
        """A machine's start ended, well or not."""
        ...

    def cache_dropped(self, size_bytes: int) -> None:
        """A machine was told to keep to its project's policy, and dropped cache for it."""
        ...

    def gateway_answered(self, answer: str) -> None:
        """The gateway's question about a call was answered; ``answer`` is one of `GATEWAY_ANSWERS`."""
        ...

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """A call of the API ended, with ``ok`` or a Connect code."""
        ...

    def webhook_attempted(self, result: str) -> None:
        """A message to a webhook was tried, or dropped; ``result`` is one of `WEBHOOK_RESULTS`."""
        ...


WEBHOOK_RESULTS = ("delivered", "failed", "refused", "dropped")
GATEWAY_ANSWERS = ("allowed", "refused", "invalid", "unavailable", "error")


class NoMeter:
    """Counts nothing."""

    def build_ended(self, status: BuildStatus) -> None:
        """Nothing."""

    def endpoint_given(self, platform: Platform, seconds: float) -> None:
        """Nothing."""

    def machine_start_ended(self, seconds: float, *, is_ready: bool) -> None:
        """Nothing."""

    def cache_dropped(self, size_bytes: int) -> None:
        """Nothing."""

    def gateway_answered(self, answer: str) -> None:
        """Nothing."""

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """Nothing."""

    def webhook_attempted(self, result: str) -> None:
        """Nothing."""
