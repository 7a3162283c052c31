"""The metrics of a server, in a registry of Prometheus's library.

Names follow https://prometheus.io/docs/practices/naming/. No label names a build, a project, a machine or a person, so
the number of series is bounded by the number of our methods and of Connect's codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from stoker.domain.builds import BuildStatus
from stoker.services.meter import GATEWAY_ANSWERS, WEBHOOK_RESULTS

if TYPE_CHECKING:
    from stoker.domain.platforms import Platform
    from stoker.services.census import Census

# From a ready machine (milliseconds) to a start (a fraction of a second) to a queue (minutes).
_ENDPOINT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900)
_START_BUCKETS = (0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 4, 8, 15, 30, 60)
_CALL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)


class PrometheusMeter:
    """A meter with its own registry."""

    def __init__(self) -> None:
        disable_created_metrics()
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._builds = Counter("stoker_builds", "Builds that ended.", ["status"], registry=registry)
        self._endpoints = Histogram(
            "stoker_endpoint_seconds",
            "Time from a build's first request for an endpoint to the endpoint.",
            ["platform"],
            buckets=_ENDPOINT_BUCKETS,
            registry=registry,
        )
        self._starts = Histogram(
            "stoker_machine_start_seconds",
            "Duration of starts of machines.",
            ["result"],
            buckets=_START_BUCKETS,
            registry=registry,
        )
        self._evictions = Counter("stoker_cache_evictions", "Prunes of caches to their policies.", registry=registry)
        self._evicted = Counter("stoker_cache_evicted_bytes", "Bytes freed by prunes of caches.", registry=registry)
        self._gateway = Counter(
            "stoker_gateway_calls", "Calls at the gateway by answer.", ["answer"], registry=registry
        )
        self._calls = Counter("stoker_calls", "Calls of the API.", ["method", "code"], registry=registry)
        self._call_times = Histogram(
            "stoker_call_seconds", "Duration of calls.", ["method"], buckets=_CALL_BUCKETS, registry=registry
        )
        self._running = Gauge("stoker_builds_running", "Builds that have not ended.", registry=registry)
        self._queue = Gauge("stoker_queue_length", "Endpoints that wait in the queue.", registry=registry)
        self._awaited = Gauge(
            "stoker_endpoints_starting",
            "Endpoints that have left the queue and whose machine is not ready.",
            registry=registry,
        )
        self._machines = Gauge("stoker_machines", "Machines.", ["state"], registry=registry)
        self._caches = Gauge("stoker_caches", "Caches.", registry=registry)
        self._cache_bytes = Gauge(
            "stoker_cache_bytes", "Size of all caches at their last measurement.", registry=registry
        )
        self._webhooks = Counter(
            "stoker_webhook_attempts", "Attempts to deliver webhooks.", ["result"], registry=registry
        )
        self._webhooks_waiting = Gauge(
            "stoker_webhook_deliveries_waiting", "Pending deliveries of webhooks.", registry=registry
        )
        # A series that begins with its first event hides that event from rate().
        for status in BuildStatus:
            if status.finished:
                self._builds.labels(status.value)
        for answer in GATEWAY_ANSWERS:
            self._gateway.labels(answer)
        for result in WEBHOOK_RESULTS:
            self._webhooks.labels(result)

    def build_ended(self, status: BuildStatus) -> None:
        """A build ended."""
        self._builds.labels(status.value).inc()

    def endpoint_given(self, platform: Platform, seconds: float) -> None:
        """A build got an endpoint, so long after its first request."""
        self._endpoints.labels(platform.value).observe(seconds)

    def machine_start_ended(self, seconds: float, *, is_ready: bool) -> None:
        """A machine's start succeeded or failed."""
        self._starts.labels("ready" if is_ready else "failed").observe(seconds)

    def cache_dropped(self, size_bytes: int) -> None:
        """A machine's cache was pruned to its project's policy."""
        self._evictions.inc()
        self._evicted.inc(size_bytes)

    def gateway_answered(self, answer: str) -> None:
        """The gateway's question about a call was answered."""
        self._gateway.labels(answer).inc()

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """A call of the API ended."""
        self._calls.labels(method, code).inc()
        self._call_times.labels(method).observe(seconds)

    def webhook_attempted(self, result: str) -> None:
        """A message to a webhook was tried, or dropped."""
        self._webhooks.labels(result).inc()

    def exposition(self, census: Census, accept: str) -> tuple[bytes, str]:
        """All metrics with these numbers, and the content type that fits an Accept header best."""
        self._running.set(census.running_builds)
        self._queue.set(census.queue_length)
        self._awaited.set(census.awaited_machines)
        for state, number in census.machines.items():
            self._machines.labels(state.value).set(number)
        self._caches.set(census.caches)
        self._cache_bytes.set(census.cache_bytes)
        self._webhooks_waiting.set(census.waiting_deliveries)
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
