"""The identity of one request, its log line, its metrics and its spans."""

import logging
import os
import time
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import Response

from serve.api import custom_attributes
from serve.api.telemetry import spans
from serve.qa.request_lanes import Trace
from serve.request_metrics import RequestMetrics
from serve.tracing import context as trace_context
from serve.tracing.context import TraceContext
from serve.tracing.tracer import Tracer

log = logging.getLogger("request")

INFERENCE_ID = "x-amzn-sagemaker-inference-id"
INFERENCE_ID_CHARACTERS = 64  # InvokeEndpoint's reference: the longest InferenceId
REQUEST_ID = "x-request-id"
REQUEST_ID_CHARACTERS = 128
INFERENCE_ID_BYTES, REQUEST_ID_BYTES = INFERENCE_ID.encode(), REQUEST_ID.encode()
IDS = frozenset((INFERENCE_ID_BYTES, REQUEST_ID_BYTES, trace_context.HEADER_BYTES))
TARGET_MODEL = "x-amzn-sagemaker-target-model"
TARGET_MODEL_CHARACTERS = 1024  # InvokeEndpoint's reference: the longest TargetModel
CLIENT_GONE = 499  # nginx's status for a client that has disconnected; only the log line and the metrics show it


@dataclass
class RequestRecord:
    """What the server remembers of one request, without any of its texts.

    context: None if the request belongs to no trace. tracer: None if no spans of the request are sent.
    """

    request_id: str
    model_name: str | None  # on a multi-model endpoint
    target_model: str | None  # the file name that the caller of a multi-model endpoint gave
    route: str | None = None  # the path of a route that does not answer questions, as it was declared
    refusal: str | None = None  # why the server refused the request
    context: TraceContext | None = None
    tracer: Tracer | None = None
    trace: Trace = field(default_factory=Trace)
    began_at: float = field(default_factory=time.perf_counter)

    @classmethod
    def begin(cls, headers: Headers, model_name: str | None, tracer: Tracer | None = None) -> "RequestRecord":
        """Start a record, with the ids of the caller or new ones.

        The request id is the inference id, else the request id of the caller, if they can be used, else a new one.
        """
        found = _ids(headers)
        request_id = found.get(INFERENCE_ID_BYTES, "")[:INFERENCE_ID_CHARACTERS]
        if not _is_usable(request_id):
            request_id = found.get(REQUEST_ID_BYTES, "")
            if len(request_id) > REQUEST_ID_CHARACTERS or not _is_usable(request_id):
                request_id = os.urandom(16).hex()
        target = headers.get(TARGET_MODEL) if model_name is not None else None
        record = cls(request_id, model_name, target and target[:TARGET_MODEL_CHARACTERS])
        record.trace.request_id = request_id
        parent = found.get(trace_context.HEADER_BYTES)
        record.context = TraceContext.of_header(parent) if parent else None
        if tracer:
            record.context = record.context or tracer.begin(request_id)
            if record.context.is_sampled:
                record.tracer, record.trace.passes = tracer, []
        return record

    def identify(self, response: Response, headers: Headers) -> None:
        """Add the ids to a response that has none. headers: of the request."""
        response.headers[REQUEST_ID] = self.request_id
        custom_attributes.add_to(response, headers, self.request_id)
        if self.context:
            response.headers[trace_context.HEADER] = self.context.header

    def write(self, metrics: RequestMetrics, status: int, error: str | None, *, is_logged: bool = True) -> None:
        """Write the log line, note the request for the metrics, and send its spans if it is traced.

        error: the error_type, followed by the message of a RequestError; None if the request succeeded.
        """
        trace = self.trace
        total_seconds = trace.total_seconds or time.perf_counter() - self.began_at
        sampled = self.context if self.context and self.context.is_sampled else None  # of no other are there spans
        metrics.deferred.add(self._count, metrics, status, total_seconds, sampled and sampled.trace_id)
        if sampled:
            metrics.deferred.flush()  # now, because an exemplar has the time at which it was counted
        if is_logged:
            fields = self._fields(status, total_seconds)
            if error:
                fields["error"] = error
            log.log(logging.ERROR if status == 500 else logging.INFO, "invocation", extra=fields)
        if self.tracer and self.context:
            self.tracer.send(spans.of_request(self.context, trace, status, (self.began_at, total_seconds)))

    def _count(self, metrics: RequestMetrics, status: int, total_seconds: float, trace_id: str | None) -> None:
        """Add the request to the metrics. trace_id: of the trace that has spans of it, if there is one."""
        metrics.request(status, total_seconds, self.refusal, trace_id)
        if status < 400:
            metrics.answered(self.trace.form, self.trace.precisions)
        for stage, seconds in self.trace.stages.items():
            metrics.of_stage[stage].observe(seconds)

    def _fields(self, status: int, total_seconds: float) -> dict[str, object]:
        """Return the fields of the log line."""
        trace = self.trace
        fields: dict[str, object] = {
            "request_id": self.request_id,
            "status": status,
            "form": trace.form,
            "precision": "+".join(sorted(trace.precisions)) or "none",
            "windows": trace.windows,
            "tokens": trace.tokens,
            "rungs": sorted(set(trace.rungs)),
            **{f"{stage}_ms": round(seconds * 1000, 2) for stage, seconds in trace.stages.items()},
            "total_ms": round(total_seconds * 1000, 2),
        }
        if self.context:
            fields["trace_id"], fields["span_id"] = self.context.trace_id, self.context.span_id
        if self.model_name is not None:
            fields["model"] = self.model_name
            fields["target_model"] = self.target_model
        if self.route is not None:
            fields["route"] = self.route
        if trace.failed_lines:
            fields["failed_lines"] = trace.failed_lines
        return fields


def _ids(headers: Headers) -> dict[bytes, str]:
    """Return the headers that identify a request. One search for all of them takes less time than one for each.

    Of several ids the first is used. Several `traceparent` are not valid, whatever they say (Trace Context, 4.3).
    """
    found: dict[bytes, str] = {}
    for name, value in headers.raw:
        if name in IDS:
            if name not in found:
                found[name] = value.decode("latin-1")
            elif name == trace_context.HEADER_BYTES:
                found[name] = ""
    return found


def _is_usable(request_id: str) -> bool:
    """Whether a caller's id may stand in headers and logs: it has printable ASCII characters only, and at least one."""
    return request_id.isascii() and request_id.isprintable() and bool(request_id)
