"""Sends spans to a collector by OTLP over HTTP. Import this only if it is enabled: the import is slow.

It is not the process's global tracer, so libraries don't add spans.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context, attach, get_current
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.services.tracing import Attributes

_QUEUE = 10_000
_BATCH = 500
_SEND_MILLISECONDS = 1000
_SEND_TIMEOUT = 5.0
_REMEMBERED_CAUSES = 10_000
_HEADERS = ("traceparent", "tracestate")


class OtlpSpan:
    """A span that is sent when it ends."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def end(self, problem: str | None, attributes: Attributes) -> None:
        """End the span."""
        self._span.set_attributes(attributes)
        if problem is not None:
            self._span.set_status(Status(StatusCode.ERROR, problem))
        self._span.end()


class OtlpTracer:
    """Sends spans in batches from its own thread. A bounded number waits; further ones are dropped."""

    def __init__(self, endpoint: str, share: float, server_id: str, version: str) -> None:
        """Prepare to send.

        Args:
            endpoint: the collector's URL for traces, such as http://127.0.0.1:4318/v1/traces.
            share: of the traces that begin here, how many are recorded. Callers that send a trace decide themselves.
            server_id: names this server.
            version: of stoker.
        """
        about = {SERVICE_NAME: "stoker", SERVICE_VERSION: version, SERVICE_INSTANCE_ID: server_id}
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)), resource=Resource.create(about), shutdown_on_exit=False
        )
        processor = BatchSpanProcessor(
            OTLPSpanExporter(endpoint=endpoint, timeout=_SEND_TIMEOUT),
            max_queue_size=_QUEUE,
            schedule_delay_millis=_SEND_MILLISECONDS,
            max_export_batch_size=_BATCH,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("stoker", version)
        self._propagator = TraceContextTextMapPropagator()
        self._causes: OrderedDict[str, Context] = OrderedDict()

    def begin_call(self, name: str, headers: Mapping[str, str]) -> OtlpSpan:
        """Begin the span of a request with these headers."""
        span = self._tracer.start_span(name, self._named(headers) or Context(), SpanKind.SERVER)
        # Every request is handled in a context of its own, which ends with it.
        attach(trace.set_span_in_context(span))
        return OtlpSpan(span)

    def begin_work(self, name: str, attributes: Attributes, *, cause: str, headers: Mapping[str, str]) -> OtlpSpan:
        """Begin the span of work that is not a request."""
        parent = self._named(headers) or self._causes.get(cause) or Context()
        return OtlpSpan(self._tracer.start_span(name, parent, SpanKind.INTERNAL, attributes))

    def note_cause(self, key: str) -> None:
        """Note that the current request is the cause of later work, by a key."""
        self._remember(key, get_current())

    def pass_cause(self, key: str, other: str) -> None:
        """Note that one key has the same cause as another."""
        known = self._causes.get(key)
        if known is not None:
            self._remember(other, known)

    def _remember(self, key: str, cause: Context) -> None:
        self._causes[key] = cause
        self._causes.move_to_end(key)
        while len(self._causes) > _REMEMBERED_CAUSES:
            self._causes.popitem(last=False)

    def close(self) -> None:
        """Send pending spans, for some seconds at most. Blocks."""
        self._provider.shutdown()

    def _named(self, headers: Mapping[str, str]) -> Context | None:
        """The trace that headers name (https://www.w3.org/TR/trace-context/), if they do so rightly."""
        found = self._propagator.extract({name: headers[name] for name in _HEADERS if name in headers}, Context())
        return found if trace.get_current_span(found).get_span_context().is_valid else None
