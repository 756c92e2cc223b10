"""Spans on their way to a real collector, to one that is not there, and to one that comes back."""

import asyncio
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from container import contract
from serve.tracing.context import TraceContext
from serve.tracing.otlp import OtlpSender
from serve.tracing.tracer import CLOSE_SECONDS, Span, TracedRequest, Tracer, open_tracer
from tests.otlp_receiver import receiving
from tests.waiting import wait_until
from tools.local_server import free_port

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def request(context: TraceContext) -> TracedRequest:
    now = time.perf_counter()
    passes = [Span("pass narrow-0", now + 0.02, now + 0.08, {"bertqa.rung": 48})]
    stages = [(Span("queue", now, now + 0.02), []), (Span("inference", now + 0.02, now + 0.09), passes)]
    return TracedRequest(context, Span("request", now, now + 0.1, {"request_id": "mine"}), True, stages)


def context_of_caller() -> TraceContext:
    context = TraceContext.of_header(PARENT)
    assert context is not None
    return context


def test_a_collector_gets_the_spans_of_a_request_with_their_parents_times_and_attributes() -> None:
    with receiving() as collector:
        tracer = Tracer(OtlpSender(collector.url, "my-service"), 1)
        context, before = context_of_caller(), time.time_ns()
        tracer.send(request(context))
        spans = {span.name: span for span in collector.wait_for(context.trace_id, 4)}
        asyncio.run(tracer.close())
    assert set(spans) == {"request", "queue", "inference", "pass narrow-0"}
    own = spans["request"]
    assert (own.span_id.hex(), own.parent_span_id.hex()) == (context.span_id, context.parent_id)
    assert spans["queue"].parent_span_id == spans["inference"].parent_span_id == own.span_id
    assert spans["pass narrow-0"].parent_span_id == spans["inference"].span_id
    assert own.end_time_unix_nano - own.start_time_unix_nano == pytest.approx(0.1e9, abs=1e3)
    assert 0 <= own.start_time_unix_nano - before < 60e9
    assert own.status.code == 2  # an error
    assert {each.key: each.value.string_value for each in own.attributes} == {"request_id": "mine"}
    assert collector.services == {"my-service"}


def test_a_dead_collector_costs_one_log_line_and_no_time_and_is_used_again_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    with caplog.at_level(logging.INFO, "serve.tracing"):
        tracer = Tracer(OtlpSender(f"http://127.0.0.1:{port}", "x"), 1)
        began = time.process_time()
        for _ in range(1000):  # more than the queue holds
            tracer.send(request(context_of_caller()))
        assert time.process_time() - began < 5  # and not the seconds for which each batch is tried
        wait_until("the collector is missed", lambda: "accepts no traces" in caplog.text)
        with receiving(port) as collector:
            last = TraceContext.begin("ab" * 16, is_sampled=True)
            wait_until("a span arrives", lambda: _has_arrived(tracer, last, collector.of), poll_seconds=0.5)
            wait_until("the log says so", lambda: "accepts traces again" in caplog.text)
        asyncio.run(tracer.close())
    assert caplog.text.count("accepts no traces") == 1


def _has_arrived(tracer: Tracer, context: TraceContext, of: object) -> bool:
    tracer.send(request(context))
    return bool(of(context.trace_id))  # type: ignore[operator]


def test_the_log_says_why_a_collector_accepts_no_traces(caplog: pytest.LogCaptureFixture) -> None:
    class Locked(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Locked) as server, caplog.at_level(logging.WARNING):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tracer = Tracer(OtlpSender(f"http://127.0.0.1:{server.server_port}", "x"), 1)
        tracer.send(request(context_of_caller()))
        wait_until("the log says so", lambda: "accepts no traces" in caplog.text)
        asyncio.run(tracer.close())
        server.shutdown()
    (line,) = (record.getMessage() for record in caplog.records if record.name.startswith("serve."))
    assert "401" in line


def test_the_last_spans_are_sent_before_gunicorn_kills_the_worker() -> None:
    assert contract.DRAIN_SECONDS + CLOSE_SECONDS < contract.GRACEFUL_TIMEOUT_SECONDS


def test_a_dead_collector_does_not_delay_the_end() -> None:
    tracer = Tracer(OtlpSender(f"http://127.0.0.1:{free_port()}", "x"), 1)
    tracer.send(request(context_of_caller()))
    began = time.monotonic()
    asyncio.run(tracer.close())
    assert time.monotonic() - began < 10  # the exporter itself would try for longer


def test_without_an_endpoint_there_is_no_tracer() -> None:
    assert open_tracer("", 1.0, "x") is None


@pytest.mark.parametrize(("share", "sampled"), [(0.0, {False}), (1.0, {True})])
def test_the_share_decides_for_requests_without_a_trace(share: float, sampled: set[bool]) -> None:
    class Nowhere:
        def send(self, request: TracedRequest, to_epoch_ns: int) -> None:
            """Drop the spans."""

        def close(self) -> None:
            """Do nothing."""

    tracer = Tracer(Nowhere(), share)
    begun = [tracer.begin(each) for each in ("0af7651916cd43dd8448eb211c80319c", "order-66", "0" * 32)]
    assert {each.is_sampled for each in begun} == sampled
    assert begun[0].trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert all(TraceContext.of_header(each.header) for each in begun)
