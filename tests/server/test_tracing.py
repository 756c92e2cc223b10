"""Traces, request ids and the lines of LOG_LEVEL=DEBUG: a real server, and a real receiver of OTLP."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.otlp_receiver import OtlpReceiver, receiving
from tests.server.questions import BODY, long_body
from tests.server.server_process import log_rows
from tools.local_server import LocalServer

PARENT_SPAN = "00f067aa0ba902b7"
STAGES = ["read", "parse", "tokenize", "queue", "inference", "rank"]


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpReceiver]:
    with receiving() as running:
        yield running


@pytest.fixture(scope="module")
def traced(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory, collector: OtlpReceiver) -> Iterator[LocalServer]:
    chosen = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_TRACES_SAMPLER_ARG": "0",
        "OTEL_SERVICE_NAME": "qa-test",
        "LOG_LEVEL": "DEBUG",
        "RUNG_STEP": "128",
        "GUARD_SHARE": "0",
        "MAX_BATCH_WINDOWS": "1",
    }
    log = tmp_path_factory.mktemp("traced") / "log"
    with LocalServer(demo_dir, chosen, log=log) as server:
        server.wait_until_warm()
        yield server


@pytest.fixture
def client(traced: LocalServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=traced.url, timeout=60) as connected:
        yield connected


def parent(trace_id: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{PARENT_SPAN}-{flags}"}


def rows_of(server: LocalServer, client: httpx.Client, text: str) -> list[dict[str, Any]]:
    """The log lines that contain a text."""
    client.get("/ping")  # the log line of a request follows its answer
    assert server.log
    return [row for row in log_rows(server.log.read_text()) if text in json.dumps(row)]


def ms(span: Span) -> float:
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6


def test_a_request_with_traceparent_gives_one_trace_whose_stages_add_up(
    traced: LocalServer, client: httpx.Client, collector: OtlpReceiver
) -> None:
    gaps = []
    for number in range(1, 11):
        trace_id = f"{number:032x}"
        response = client.post("/invocations", json=BODY, headers=parent(trace_id))
        own, *rest = collector.wait_for(trace_id, 8)
        assert (own.name, own.parent_span_id.hex()) == ("request", PARENT_SPAN)
        assert response.headers["traceparent"] == f"00-{trace_id}-{own.span_id.hex()}-01"
        stages = [span for span in rest if span.parent_span_id == own.span_id]
        assert [span.name for span in stages] == STAGES
        (run,) = (span for span in rest if span not in stages)
        assert re.fullmatch("pass (narrow|wide)-0|pass narrow-1", run.name)
        assert run.parent_span_id == stages[STAGES.index("inference")].span_id
        assert all(own.start_time_unix_nano <= span.start_time_unix_nano for span in rest)
        assert all(span.end_time_unix_nano <= own.end_time_unix_nano for span in rest)
        gaps.append(ms(own) - sum(map(ms, stages)))
        (row,) = (row for row in rows_of(traced, client, own.span_id.hex()) if row["message"] == "invocation")
        assert (row["trace_id"], row["span_id"]) == (trace_id, own.span_id.hex())
        assert row["total_ms"] == pytest.approx(ms(own), abs=0.02)
    assert 0 <= min(gaps) < 1, gaps  # a busy machine may hold the server up between two stages
    assert collector.services == {"qa-test"}


def test_a_large_request_and_one_with_several_windows_are_traced_alike(
    client: httpx.Client, collector: OtlpReceiver
) -> None:
    for trace_id, body in (
        ("a" * 32, long_body(200)),
        ("b" * 32, {**BODY, "context": BODY["context"] + " x" * 20_000}),
    ):
        assert client.post("/invocations", json=body, headers=parent(trace_id)).status_code == 200
        own = collector.wait_for(trace_id, 8)[0]
        windows = {each.key: each.value.int_value for each in own.attributes}["bertqa.windows"]
        spans = collector.wait_for(trace_id, 7 + min(64, windows))
        assert {span.name for span in spans if span.parent_span_id == own.span_id} == set(STAGES)
        passes = [span for span in spans if span.name.startswith("pass ")]
        assert len(passes) == min(64, windows) > 1


def test_an_error_is_traced_too(client: httpx.Client, collector: OtlpReceiver) -> None:
    response = client.post("/invocations", json={}, headers=parent("c" * 32))
    own, *rest = collector.wait_for("c" * 32, 2)
    assert {each.key: each.value.int_value for each in own.attributes}["http.response.status_code"] == 422
    assert [span.name for span in rest] == ["read"]
    assert response.headers["traceparent"] == f"00-{'c' * 32}-{own.span_id.hex()}-01"


def test_a_request_that_its_caller_does_not_trace_sends_no_spans(client: httpx.Client, collector: OtlpReceiver) -> None:
    headers = parent("d" * 32, "00")
    assert client.post("/invocations", json=BODY, headers=headers).headers["traceparent"].endswith("-00")
    client.post("/invocations", json=BODY, headers=parent("e" * 32))
    collector.wait_for("e" * 32, 8)
    assert collector.of("d" * 32) == []


def test_exemplars_carry_the_trace_id(client: httpx.Client) -> None:
    client.post("/invocations", json=BODY, headers=parent("f" * 32))
    text = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}).text
    (line,) = (line for line in text.splitlines() if 'trace_id="' + "f" * 32 in line)
    assert re.match(r'bertqa_request_seconds_bucket\{le=".*",outcome="answered"\} .* # \{trace_id="f+"\} ', line)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Request-Id": "my id, 1"}, "my id, 1"),
        ({"X-Request-Id": "x" * 128}, "x" * 128),
        ({"X-Request-Id": "mine", "X-Amzn-SageMaker-Inference-Id": "order-66"}, "order-66"),
        ({"X-Request-Id": "x" * 129}, None),
        ({"X-Request-Id": "caf\xe9"}, None),
        ({"X-Request-Id": "tab\there"}, None),
        ({"X-Request-Id": ""}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("path", ["/invocations", "/none"])
def test_the_callers_request_id_is_adopted_or_replaced(
    client: httpx.Client, path: str, headers: dict[str, str], expected: str | None
) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    response = client.post(path, json={}, headers=encoded)
    found = response.headers["x-request-id"]
    assert found == response.json()["request_id"]
    assert found == expected if expected is not None else re.fullmatch("[0-9a-f]{32}", found)


def test_debug_shows_the_way_of_one_request(traced: LocalServer, client: httpx.Client) -> None:
    client.post("/invocations", json=BODY, headers={"X-Request-Id": "shown"}).raise_for_status()
    rows = rows_of(traced, client, "shown")
    ways = ["has arrived, with a body of", "asks for 1 windows", "ran on lane", "invocation"]
    assert len(rows) == len(ways)
    assert all(way in row["message"] for way, row in zip(ways, rows, strict=True))
    assert BODY["question"] not in json.dumps(rows)


def test_probes_never_flood_the_log(traced: LocalServer, client: httpx.Client) -> None:
    client.get("/ping")
    assert traced.log
    before = len(traced.log.read_text().splitlines())
    for _ in range(20):
        client.get("/ping")
        client.get("/metrics")
        assert client.put("/ping").status_code == 405
        assert client.post("/metrics").status_code == 405
    new = traced.log.read_text().splitlines()[before:]
    assert sum('"route": "/ping"' in line or '"route":"/ping"' in line for line in new) == 1
    assert sum("/metrics" in line for line in new) == 1
    assert len(new) == 2, new
