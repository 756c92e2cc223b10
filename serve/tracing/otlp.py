"""Sends spans with OpenTelemetry's SDK, by OTLP over HTTP. The SDK's thread sends them, and drops what is too much."""

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from container import contract
from serve.tracing.tracer import Span, TracedRequest

log = logging.getLogger(__name__)

EXPORT_SECONDS = 5.0  # after which a batch of spans is given up
LOG_SECONDS = 60.0
QUEUE_SPANS = 2048
BATCH_SPANS = 256  # a batch is encoded in some ms, in which Python's lock changes hands
EXPORTER_LOG = logging.getLogger(OTLPSpanExporter.__module__)
NO_REASON = "nothing"
SCOPE = InstrumentationScope("bert-qa", contract.VERSION)


class OtlpSender:
    """A serve.tracing.tracer.Sender."""

    def __init__(self, endpoint: str, service_name: str) -> None:
        """endpoint: the collector's base address, to which `/v1/traces` is added."""
        address = f"{endpoint.rstrip('/')}/v1/traces"
        self._resource = Resource.create({"service.name": service_name, "service.version": contract.VERSION})
        exporter = _Reporting(OTLPSpanExporter(address, timeout=EXPORT_SECONDS), address)
        self._processor = BatchSpanProcessor(
            exporter, max_queue_size=QUEUE_SPANS, max_export_batch_size=BATCH_SPANS, schedule_delay_millis=1000
        )

    def send(self, request: TracedRequest, to_epoch_ns: int) -> None:
        """Queue the spans of a request."""
        for span in self._spans(request, to_epoch_ns):
            self._processor.on_end(span)

    def close(self) -> None:
        """Send what is queued."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def _spans(self, request: TracedRequest, to_epoch_ns: int) -> Iterator[ReadableSpan]:
        own = request.context
        parent = _context(own.trace_id, own.parent_id, is_remote=True) if own.parent_id else None
        root = _context(own.trace_id, own.span_id)
        status = Status(StatusCode.ERROR) if request.is_failed else Status()
        yield self._readable(request.span, root, parent, to_epoch_ns, status=status)
        for stage, passes in request.stages:
            context = _context(own.trace_id, os.urandom(8).hex())
            yield self._readable(stage, context, root, to_epoch_ns)
            for each in passes:
                yield self._readable(each, _context(own.trace_id, os.urandom(8).hex()), context, to_epoch_ns)

    def _readable(
        self,
        span: Span,
        context: SpanContext,
        parent: SpanContext | None,
        to_epoch_ns: int,
        *,
        status: Status | None = None,
    ) -> ReadableSpan:
        """Return a span for the SDK. status: only of the request's own span."""
        return ReadableSpan(
            span.name,
            context,
            parent,
            self._resource,
            span.attributes,
            kind=SpanKind.INTERNAL if status is None else SpanKind.SERVER,
            status=status or Status(),
            start_time=int(span.began * 1e9) + to_epoch_ns,
            end_time=int(span.ended * 1e9) + to_epoch_ns,
            instrumentation_scope=SCOPE,
        )


class _Reporting(SpanExporter):
    """Writes a log line when the collector stops or begins to accept spans, and not for each batch that is lost.

    A collector that accepts only some batches gets at most two lines in LOG_SECONDS.
    """

    def __init__(self, exporter: SpanExporter, address: str) -> None:
        self._exporter = exporter
        self._address = address
        self._has_warned = False
        self._may_warn_at = 0.0  # time.monotonic()
        self._reasons = _Reasons()
        self._reasons.begin()
        EXPORTER_LOG.setLevel(logging.WARNING)  # container/log_config.py silences OpenTelemetry's other loggers
        EXPORTER_LOG.propagate = False
        EXPORTER_LOG.addHandler(self._reasons)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch of spans."""
        self._reasons.begin()
        try:
            result = self._exporter.export(spans)
        except Exception:
            log.exception("a batch of spans could not be encoded or sent. This is a bug.")
            return SpanExportResult.FAILURE
        is_failing, now = result is not SpanExportResult.SUCCESS, time.monotonic()
        if is_failing and not self._has_warned and now >= self._may_warn_at:
            self._has_warned, self._may_warn_at = True, now + LOG_SECONDS
            log.warning(
                "the collector at %s accepts no traces, so they are dropped until it does; requests are not affected. "
                "Check OTEL_EXPORTER_OTLP_ENDPOINT. The exporter says: %s",
                *(self._address, self._reasons.first),
            )
        elif self._has_warned and not is_failing:
            self._has_warned = False
            log.info("the collector at %s accepts traces again", self._address)
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        EXPORTER_LOG.removeHandler(self._reasons)
        self._exporter.shutdown()


class _Reasons(logging.Handler):
    """Keeps the first line that OpenTelemetry's exporter logs about a batch; the exporter returns no reason."""

    def begin(self) -> None:
        """Forget the batch before; this thread sends the next one."""
        self.first = NO_REASON
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of the thread that sends the batch, if it is the first."""
        if self.first == NO_REASON and record.thread == self._thread:
            self.first = record.getMessage()


def _context(trace_id: str, span_id: str, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote, TraceFlags(TraceFlags.SAMPLED))
