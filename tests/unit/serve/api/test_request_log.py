"""The log line and the metrics of one request."""

import logging
import re

import pytest
from starlette.datastructures import Headers

from serve.api.request_log import RequestRecord
from serve.metrics import Metrics, exposition


def line_of(
    record: RequestRecord, caplog: pytest.LogCaptureFixture, status: int, error: str | None
) -> dict[str, object]:
    with caplog.at_level(logging.INFO, "request"):
        record.write(Metrics(), status, error)
    [line] = caplog.records
    return vars(line)


def test_the_request_id_is_the_inference_id_or_a_new_one() -> None:
    headers = Headers({"X-Amzn-SageMaker-Inference-Id": "x" * 100})
    assert RequestRecord.begin(headers, None).request_id == "x" * 64
    ids = {RequestRecord.begin(Headers(), None).request_id for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"


@pytest.mark.parametrize("bad", ["caf\xe9", "tab\there", "escape\x1b[31m", "\x85"])
@pytest.mark.parametrize("name", ["x-amzn-sagemaker-inference-id", "x-request-id"])
def test_an_id_that_is_not_printable_ascii_is_replaced(name: str, bad: str) -> None:
    given = Headers(raw=[(name.encode(), bad.encode("latin-1"))])
    assert re.fullmatch("[0-9a-f]{32}", RequestRecord.begin(given, None).request_id)


def test_an_inference_id_that_cannot_be_used_leaves_the_request_id() -> None:
    given = Headers({"X-Amzn-SageMaker-Inference-Id": "tab\there", "X-Request-Id": "mine"})
    assert RequestRecord.begin(given, None).request_id == "mine"


@pytest.mark.parametrize("copies", [2, 3])
def test_several_traceparent_headers_are_not_valid(copies: int) -> None:
    one = (b"traceparent", f"{PARENT}01".encode())
    assert RequestRecord.begin(Headers(raw=[one]), None).context is not None
    assert RequestRecord.begin(Headers(raw=[one] * copies), None).context is None


@pytest.mark.parametrize(("flags", "has_exemplar"), [("01", True), ("00", False)])
def test_only_a_request_whose_spans_can_be_found_is_an_exemplar(flags: str, has_exemplar: bool) -> None:
    metrics = Metrics()
    RequestRecord.begin(Headers({"traceparent": PARENT + flags}), None).write(metrics, 200, None)
    text = exposition(metrics.registry, "application/openmetrics-text;version=1.0.0")[0].decode()
    assert ('trace_id="4bf92f3577b34da6a3ce929d0e0e4736"' in text) == has_exemplar


def test_the_line_has_what_the_trace_counted(caplog: pytest.LogCaptureFixture) -> None:
    record = RequestRecord.begin(Headers({"x-amzn-sagemaker-target-model": "x.tar.gz"}), None)
    record.trace.note_form("sample")
    record.trace.precisions |= {"INT8", "FP32"}
    record.trace.rungs += [48, 32, 48]
    record.trace.total_seconds = 0.01234
    line = line_of(record, caplog, 200, None)
    assert (line["message"], line["levelname"], line["status"], line["form"]) == ("invocation", "INFO", 200, "sample")
    assert (line["precision"], line["rungs"], line["total_ms"]) == ("FP32+INT8", [32, 48], 12.34)
    assert {"error", "model", "target_model"}.isdisjoint(line)


def test_the_line_names_the_model_of_a_multi_model_endpoint(caplog: pytest.LogCaptureFixture) -> None:
    record = RequestRecord.begin(Headers({"x-amzn-sagemaker-target-model": "x.tar.gz"}), "first")
    line = line_of(record, caplog, 200, None)
    assert (line["model"], line["target_model"]) == ("first", "x.tar.gz")


@pytest.mark.parametrize(("status", "level"), [(422, "INFO"), (500, "ERROR")])
def test_only_errors_of_the_server_are_logged_as_errors(
    status: int, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = line_of(RequestRecord.begin(Headers(), None), caplog, status, "some_error")
    assert (line["levelname"], line["error"]) == (level, "some_error")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "answered"),
        (429, "refused"),
        (503, "refused"),
        (422, "client_error"),
        (499, "client_error"),
        (504, "failed"),
    ],
)
def test_the_metrics_count_the_request_by_status_and_its_duration_by_outcome(status: int, outcome: str) -> None:
    metrics = Metrics()
    record = RequestRecord.begin(Headers(), None)
    record.trace.total_seconds = 0.1
    record.refusal = "queue" if outcome == "refused" else None
    record.write(metrics, status, None)
    text = exposition(metrics.registry, "")[0].decode()
    assert f'bertqa_requests_total{{status="{status}"}} 1.0' in text
    assert f'bertqa_request_seconds_sum{{outcome="{outcome}"}} 0.1' in text
    assert text.count("bertqa_request_seconds_count") == 4
    assert ('bertqa_refusals_total{reason="queue"} 1.0' in text) == (outcome == "refused")
    assert ("bertqa_answered_requests_total{" in text) == (outcome == "answered")


def test_a_request_that_ends_before_it_is_answered_has_a_duration_too() -> None:
    metrics = Metrics()
    RequestRecord.begin(Headers(), None).write(metrics, 431, "request_header_fields_too_large")
    text = exposition(metrics.registry, "")[0].decode()
    assert 'bertqa_request_seconds_bucket{le="+Inf",outcome="client_error"} 1.0' in text
