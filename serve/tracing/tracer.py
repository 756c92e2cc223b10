"""Which requests are traced, and what is sent of them. OpenTelemetry is imported only if traces are sent.

A request only notes when its stages began and how long they took. The spans are made from these notes after the
response, together with the request's log line, so a request that is not traced costs nothing.
"""

import asyncio
import logging
import os
import random
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple, Protocol

from serve.tracing.context import TraceContext

log = logging.getLogger(__name__)

# What the server waits at its end until the last spans have been sent. A drain may have taken contract.DRAIN_SECONDS,
# and gunicorn kills the worker after contract.GRACEFUL_TIMEOUT_SECONDS.
CLOSE_SECONDS = 1.0
MAX_PASSES = 64  # of one request that become spans


class Pass(NamedTuple):
    """One window of a request, in the lane that ran it. Times are time.perf_counter() in seconds."""

    lane: str
    rung: int
    windows: int  # of the call
    began: float
    ended: float


@dataclass
class Span:
    """A part of a request. Times are time.perf_counter() in seconds. parent: None stands for the request's own span."""

    name: str
    began: float
    ended: float
    attributes: dict[str, str | int | float] = field(default_factory=dict)


@dataclass
class TracedRequest:
    """One request: its own span, and the spans of its stages, each with those of its passes."""

    context: TraceContext
    span: Span
    is_failed: bool
    stages: list[tuple[Span, list[Span]]]


class Sender(Protocol):
    """Sends spans to a collector. Nothing waits for it."""

    def send(self, request: TracedRequest, to_epoch_ns: int) -> None:
        """Queue the spans of a request. to_epoch_ns: what turns time.perf_counter_ns() into time.time_ns()."""

    def close(self) -> None:
        """Send what is queued; may take seconds."""


class Tracer:
    """Chooses the requests that are traced, and hands their spans over. It lives on the event loop."""

    def __init__(self, sender: Sender, share: float) -> None:
        """share: of the requests whose caller does not say whether they are traced, 0 to 1."""
        self._sender = sender
        self._share = share

    def begin(self, request_id: str) -> TraceContext:
        """Begin the trace of a request whose caller has none. A request id that is a trace id becomes that."""
        is_trace_id = (
            len(request_id) == 32 and not set(request_id) - set("0123456789abcdef") and set(request_id) != {"0"}
        )
        trace_id = request_id if is_trace_id else os.urandom(16).hex()
        return TraceContext.begin(trace_id, is_sampled=random.random() < self._share)

    def send(self, request: TracedRequest) -> None:
        """Send the spans of a request that has ended."""
        self._sender.send(request, time.time_ns() - time.perf_counter_ns())

    async def close(self) -> None:
        """Send the last spans, but let no collector delay the end of the server."""
        closing = threading.Thread(target=self._sender.close, name="close-tracer", daemon=True)
        closing.start()
        deadline = time.monotonic() + CLOSE_SECONDS
        while closing.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)


@cache
def open_tracer(endpoint: str, share: float, service_name: str) -> Tracer | None:
    """Return the tracer of this process, or None if there is no endpoint."""
    if not endpoint:
        return None
    from serve.tracing.otlp import OtlpSender

    log.info("traces are sent to %s: those that callers have begun, and of the others a share of %g", endpoint, share)
    return Tracer(OtlpSender(endpoint, service_name), share)
