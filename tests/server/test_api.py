"""The contract over HTTP, against the real server process on the demo model."""

import concurrent.futures
import json
import socket
import time
from typing import Any

import httpx
import orjson
import pytest

from serve.api.error_response import ERROR_STATUS
from serve.errors import RequestError
from tools.local_server import LocalServer

CONTEXT = (
    "The lighthouse at Cape Arden was built in 1871 by the engineer Zoë Müller. It stands 42 metres tall and is "
    "painted red and white. Its lamp can be seen from 30 kilometres away."
)
QUESTION = "Who built the lighthouse?"
LONG = "The harbour office kept careful records of every ship that came in. " * 150  # some 2,000 tokens


def ask(client: httpx.Client, **body: Any) -> Any:
    response = client.post("/invocations", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def fail(client: httpx.Client, status: int, error_type: str, **request: Any) -> httpx.Response:
    response = client.post("/invocations", **request)
    assert (response.status_code, response.json()["error_type"]) == (status, error_type), response.text
    assert set(response.json()) == {"error_type", "error", "request_id"}
    assert len(response.content) <= 2048
    return response


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ping_is_200_with_an_empty_body(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/ping")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("version", ["INT8", "FP32", "int8", "Fp32"])
def test_sample_form_answers_with_an_exact_span(client: httpx.Client, version: str) -> None:
    body = ask(client, question=QUESTION, context=CONTEXT, version=version)
    assert set(body) == {"question", "answer", "score", "start", "end", "version"}
    assert body["answer"] == "Zoë Müller"
    assert CONTEXT[body["start"] : body["end"]] == body["answer"]
    assert 0 < body["score"] <= 1
    assert (body["question"], body["version"]) == (QUESTION, version.upper())


def test_the_default_precision_is_int8(client: httpx.Client) -> None:
    assert ask(client, question=QUESTION, context=CONTEXT)["version"] == "INT8"


def test_top_k_is_honoured_in_the_sample_form(client: httpx.Client) -> None:
    body = ask(client, question=QUESTION, context=CONTEXT, parameters={"top_k": 5})
    assert len(body["answers"]) == 5
    assert body["answers"][0]["answer"] == body["answer"]
    scores = [answer["score"] for answer in body["answers"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) <= 1
    assert len({(answer["start"], answer["end"]) for answer in body["answers"]}) == 5
    assert all(CONTEXT[answer["start"] : answer["end"]] == answer["answer"] for answer in body["answers"])


def test_huggingface_form_answers_as_the_pipeline_did(client: httpx.Client) -> None:
    item = {"question": QUESTION, "context": CONTEXT}
    one = ask(client, inputs=item)
    assert set(one) == {"score", "start", "end", "answer"}
    assert ask(client, inputs=[item, item]) == [one, one]
    assert ask(client, inputs=[]) == []
    several = ask(client, inputs=item, parameters={"top_k": 2})
    assert [answer["answer"] for answer in several][0] == one["answer"]
    assert len(several) == 2
    assert isinstance(ask(client, inputs={"question": "?!a", "context": "b"}, parameters={"top_k": 3}), list)


def test_instances_form_answers_in_order_with_versions_of_their_own(client: httpx.Client) -> None:
    items = [
        {"question": QUESTION, "context": CONTEXT},
        {"question": "How tall is it?", "context": CONTEXT, "version": "INT8", "parameters": {"top_k": 2}},
    ]
    body = ask(client, instances=items, version="FP32")
    assert [prediction["version"] for prediction in body["predictions"]] == ["FP32", "INT8"]
    assert [prediction["question"] for prediction in body["predictions"]] == [item["question"] for item in items]
    assert body["predictions"][1]["answer"].startswith("42")
    assert len(body["predictions"][1]["answers"]) == 2


@pytest.mark.parametrize("name", ["application/jsonlines", "application/x-ndjson"])
def test_json_lines_give_one_line_for_each_line_in_order(client: httpx.Client, name: str) -> None:
    lines = [
        orjson.dumps({"question": QUESTION, "context": CONTEXT}),
        b"{broken",
        orjson.dumps({"inputs": {"question": "How tall is it?", "context": CONTEXT}}),
        b"",
        orjson.dumps({"question": QUESTION, "context": CONTEXT, "version": "BF16"}),
        orjson.dumps({"instances": [{"question": QUESTION, "context": CONTEXT}]}),
    ]
    response = client.post("/invocations", content=b"\n".join(lines) + b"\n", headers={"content-type": name})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/jsonlines"
    answers = [json.loads(line) for line in response.text.splitlines()]
    assert len(answers) == len(lines)
    assert answers[0]["answer"] == "Zoë Müller"
    assert answers[1]["error_type"] == "malformed_body"
    assert answers[2]["answer"].startswith("42")
    assert answers[3]["error_type"] == "malformed_body"
    assert answers[4]["error_type"] == "precision_unavailable"
    assert answers[5]["predictions"][0]["answer"] == "Zoë Müller"


@pytest.mark.parametrize(
    "prefix",
    ["", "\n\t ", "🚢🚢 ", "e\u0301".join("naïve"), "\u202eabc\u202c ", "\x00\x1c", "日本語 ", "İstanbul ", "ﬁ ½ "],
)
def test_offsets_are_code_points_of_the_context_as_sent(client: httpx.Client, prefix: str) -> None:
    context = prefix + CONTEXT + " ✨"
    for version in ("INT8", "FP32"):
        for align in (True, False):
            body = ask(
                client, question=QUESTION, context=context, version=version, parameters={"align_to_words": align}
            )
            assert body["answer"] == "Zoë Müller"
            assert context[body["start"] : body["end"]] == body["answer"]


@pytest.mark.parametrize("position", [0.0, 0.3, 0.7, 1.0])
def test_an_answer_is_found_anywhere_in_a_long_document(client: httpx.Client, position: float) -> None:
    cut = LONG.rfind(". ", 0, max(2, int(len(LONG) * position))) + 2 if position else 0
    context = LONG[:cut] + CONTEXT + " " + LONG[cut:]
    body = ask(client, question=QUESTION, context=context, version="FP32")
    assert body["answer"] == "Zoë Müller"
    assert context[body["start"] : body["end"]] == body["answer"]
    assert body["score"] <= 1


def test_window_parameters_change_the_windows_not_the_exactness(client: httpx.Client) -> None:
    context = LONG[:3000] + CONTEXT
    for parameters in ({"max_seq_len": 64, "doc_stride": 16}, {"max_seq_len": 200}, {"doc_stride": 0}):
        body = ask(client, question=QUESTION, context=context, parameters=parameters)
        assert context[body["start"] : body["end"]] == body["answer"] != ""


def test_max_answer_len_bounds_the_answer(client: httpx.Client) -> None:
    body = ask(client, question="How tall is it?", context=CONTEXT, parameters={"max_answer_len": 1})
    assert len(body["answer"].split()) == 1


def test_no_answer_competes_only_when_asked(client: httpx.Client) -> None:
    plain = ask(client, question=QUESTION, context=CONTEXT)
    body = ask(client, question=QUESTION, context=CONTEXT, parameters={"handle_impossible_answer": True, "top_k": 100})
    empty = [answer for answer in body["answers"] if answer["answer"] == ""]
    assert plain["answer"] != ""
    assert [(answer["start"], answer["end"]) for answer in empty] in ([], [(0, 0)])
    few = ask(
        client,
        question=QUESTION,
        context="Nothing.",
        parameters={"handle_impossible_answer": True, "top_k": 100},
    )
    assert "" in [answer["answer"] for answer in few["answers"]]
    assert abs(sum(answer["score"] for answer in few["answers"]) - 1) < 1e-3


def test_a_context_without_any_token_is_answered_with_nothing(client: httpx.Client) -> None:
    body = ask(client, question=QUESTION, context="\u200b\u200b")
    assert (body["answer"], body["score"], body["start"], body["end"]) == ("", 0, 0, 0)


BAD_REQUESTS: list[tuple[int, str, dict[str, Any]]] = [
    (400, "malformed_body", {"content": b"{", "headers": {"content-type": "application/json"}}),
    (400, "malformed_body", {"content": b'"\xff"', "headers": {"content-type": "application/json"}}),
    (400, "malformed_body", {"content": b"", "headers": {"content-type": "application/json"}}),
    (406, "not_acceptable", {"json": {}, "headers": {"accept": "text/csv"}}),
    (415, "unsupported_media_type", {"content": b"a,b", "headers": {"content-type": "text/csv"}}),
    (415, "unsupported_media_type", {"content": b"x", "headers": {"content-encoding": "gzip"}}),
    (422, "invalid_request", {"json": []}),
    (422, "invalid_request", {"json": {}}),
    (422, "invalid_request", {"json": {"question": QUESTION}}),
    (422, "invalid_request", {"json": {"question": " ", "context": CONTEXT}}),
    (422, "invalid_request", {"json": {"question": QUESTION, "context": ""}}),
    (422, "invalid_request", {"json": {"question": 5, "context": CONTEXT}}),
    (422, "invalid_request", {"json": {"question": "why " * 65, "context": CONTEXT}}),
    (422, "invalid_request", {"json": {"question": "\u200b", "context": CONTEXT}}),
    (422, "invalid_request", {"json": {"question": QUESTION, "context": CONTEXT, "version": "INT4"}}),
    (422, "precision_unavailable", {"json": {"question": QUESTION, "context": CONTEXT, "version": "BF16"}}),
    *(
        (422, "invalid_request", {"json": {"question": QUESTION, "context": CONTEXT, "parameters": parameters}})
        for parameters in (
            {"top_k": 0},
            {"top_k": 1.5},
            {"topk": 3},
            {"max_seq_len": 385},
            {"max_answer_len": 0},
            {"max_seq_len": 32, "doc_stride": 31},
        )
    ),
]


@pytest.mark.parametrize(("status", "error_type", "request_"), BAD_REQUESTS)
def test_a_bad_request_gets_a_clear_error(
    client: httpx.Client, status: int, error_type: str, request_: dict[str, Any]
) -> None:
    response = fail(client, status, error_type, **request_)
    assert "lighthouse" not in response.text.lower()  # no text of the request comes back
    assert client.get("/ping").status_code == 200


def test_an_error_in_a_list_names_the_item(client: httpx.Client) -> None:
    response = fail(
        client, 422, "invalid_request", json={"inputs": [{"question": "a", "context": "b"}, {"question": "a"}]}
    )
    assert "inputs.1.context" in response.json()["error"]


def test_a_body_over_the_limit_is_refused(client: httpx.Client) -> None:
    fail(
        client, 413, "payload_too_large", content=b" " * (25 * 2**20 + 1), headers={"content-type": "application/json"}
    )


def test_a_body_over_the_limit_is_refused_without_content_length(client: httpx.Client) -> None:
    chunks = (b" " * 2**20 for _ in range(26))
    fail(client, 413, "payload_too_large", content=chunks, headers={"content-type": "application/json"})


def test_a_hopelessly_long_document_is_told_the_limit(client: httpx.Client) -> None:
    response = fail(client, 422, "document_too_long", json={"question": QUESTION, "context": "word " * 3_000_000})
    assert "windows" in response.json()["error"]


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/invocations", 405)])
def test_unknown_routes_answer_in_the_error_form(client: httpx.Client, path: str, status: int) -> None:
    response = client.get(path)
    assert response.status_code == status
    assert set(response.json()) == {"error_type", "error", "request_id"}


def test_every_request_error_has_a_status() -> None:
    def all_below(cls: type[RequestError]) -> set[type[RequestError]]:
        return {below for child in cls.__subclasses__() for below in {child, *all_below(child)}}

    assert set(ERROR_STATUS) == all_below(RequestError)


def test_concurrent_requests_of_mixed_precision_get_their_own_answers(client: httpx.Client) -> None:
    names = [f"Person{i:02d}" for i in range(40)]

    def one(index: int) -> None:
        context = f"The lighthouse was built by {names[index]} in {1800 + index}. " + "It rained. " * (index * 6)
        version = "FP32" if index % 3 == 0 else "INT8"
        body = ask(client, question=QUESTION, context=context, version=version)
        assert names[index] in body["answer"]
        assert body["version"] == version

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(len(names))))


def test_a_book_does_not_hold_up_a_short_question(client: httpx.Client) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        start = time.perf_counter()
        book = pool.submit(ask, client, question=QUESTION, context=LONG * 8 + CONTEXT)
        while "bertqa_queue_windows 0.0" in client.get("/metrics").text:
            assert not book.done()
        short = ask(client, question=QUESTION, context=CONTEXT)
        short_seconds = time.perf_counter() - start
        assert short["answer"] == "Zoë Müller"
        assert not book.done(), "the book was through before the short question"
        assert book.result()["answer"] != ""
        assert short_seconds < time.perf_counter() - start


def test_a_client_that_leaves_takes_its_work_with_it(client: httpx.Client, server: LocalServer) -> None:
    body = json.dumps({"question": QUESTION, "context": LONG * 10, "version": "FP32"}).encode()
    head = (
        "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + body)
        while "bertqa_queue_windows 0.0" in client.get("/metrics").text:
            pass
    deadline = time.monotonic() + 5
    while "bertqa_queue_windows 0.0" not in client.get("/metrics").text:
        assert time.monotonic() < deadline, "the windows of a client that has gone still wait"
    assert 'bertqa_requests_total{form="sample",precision="FP32",status="499"} 1.0' in client.get("/metrics").text


def test_no_request_meets_a_cold_shape_and_each_takes_the_smallest_rung(
    client: httpx.Client, server: LocalServer
) -> None:
    asked = {}
    for words in (1, 12, 13, 29, 125, 140, 300, 380):
        response = client.post("/invocations", json={"question": "word", "context": "word " * words})
        asked[response.headers["x-request-id"]] = [-(-(words + 4) // 16) * 16]
    client.get("/ping")  # the line of a request is written just behind its answer
    assert server.log
    rows = [json.loads(line) for line in server.log.read_text().splitlines() if '"invocation"' in line]
    assert {row["request_id"]: row["rungs"] for row in rows if row["request_id"] in asked} == asked


def test_a_request_is_logged_in_one_line_without_its_texts(client: httpx.Client, server: LocalServer) -> None:
    secret = "Xylophonist"
    response = client.post("/invocations", json={"question": f"Who is {secret}?", "context": f"{secret} is a name."})
    client.get("/ping")
    assert server.log
    log = server.log.read_text()
    rows = [json.loads(line) for line in log.splitlines() if response.headers["x-request-id"] in line]
    assert len(rows) == 1
    assert (rows[0]["status"], rows[0]["form"], rows[0]["precision"], rows[0]["windows"]) == (200, "sample", "INT8", 1)
    assert rows[0]["inference_ms"] > 0
    assert secret not in log
    assert log.count("/ping answers 200") <= 1  # its changes only


def test_the_inference_id_is_the_request_id(client: httpx.Client) -> None:
    headers = {"X-Amzn-SageMaker-Inference-Id": "order-66"}
    response = client.post("/invocations", json={"question": "a", "context": "b"}, headers=headers)
    assert response.headers["x-request-id"] == "order-66"
    assert client.post("/invocations", json={}, headers=headers).json()["request_id"] == "order-66"


def test_info_tells_model_lanes_and_rungs(client: httpx.Client) -> None:
    info = client.get("/info").json()
    assert info["state"] == "ready"
    assert info["model"]["has_manifest"]
    int8 = info["precisions"]["INT8"]
    assert (int8["engine"], int8["fused_groups"]) == ("ipex-torchscript", 44)  # 7 x 6 layers + 2
    assert len(int8["sha256"]) == 64
    assert info["rungs"] == list(range(16, 385, 16))
    assert all(lane["is_alive"] for lane in info["lanes"])
    assert all(lane["warm_rungs"] == {"INT8": info["rungs"], "FP32": info["rungs"]} for lane in info["lanes"])
    assert info["versions"]["torch"].startswith("2.8.0")


def test_execution_parameters_are_within_the_platforms_limits(client: httpx.Client) -> None:
    body = client.get("/execution-parameters").json()
    assert set(body) == {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}
    assert body["BatchStrategy"] == "MULTI_RECORD"
    assert body["MaxConcurrentTransforms"] * body["MaxPayloadInMB"] <= 100


def test_metrics_count_requests_stages_windows_and_lanes(client: httpx.Client) -> None:
    ask(client, question=QUESTION, context=CONTEXT)
    text = client.get("/metrics").text
    for name in (
        'bertqa_requests_total{form="sample",precision="INT8",status="200"}',
        'bertqa_stage_seconds_count{stage="inference"}',
        "bertqa_windows_total{lane=",
        "bertqa_queue_windows 0.0",
        "bertqa_ready 1.0",
        'bertqa_rungs_planned{precision="INT8"} 24.0',
        'bertqa_lane_up{lane="narrow-0"} 1.0',
        'bertqa_rung_cost_seconds{precision="INT8",rung="384",width="1"}',
    ):
        assert name in text, name


def test_docs_need_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert "http://" not in page
    assert "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        path = next(part for part in page.split('"') if part.endswith(asset))
        assert client.get(path).status_code == 200


def test_openapi_describes_requests_answers_and_errors(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    operation = described["paths"]["/invocations"]["post"]
    assert set(operation["responses"]) == {"200", *map(str, ERROR_STATUS.values())} - {
        "404",
        "409",
        "507",
    }  # those are of /models
    names = set(described["components"]["schemas"])
    assert {"SampleRequest", "HuggingFaceRequest", "InstancesRequest", "Parameters", "ErrorBody"} <= names
