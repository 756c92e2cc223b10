"""A request that cannot be answered gets a status and an error that says what is wrong."""

import json
from typing import Any

import httpx
import pytest

from serve.text_process.client import LARGE_BODY_BYTES
from tests.server.questions import CONTEXT, QUESTION

# The status and the error type of each bad request, and the arguments for httpx that send it.
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


def expect_error(client: httpx.Client, status: int, error_type: str, **request: Any) -> httpx.Response:
    """Send a request that must get this error in the error form, and return the response."""
    response = client.post("/invocations", **request)
    assert (response.status_code, response.json()["error_type"]) == (status, error_type), response.text
    assert set(response.json()) == {"error_type", "error", "request_id"}
    assert len(response.content) <= 2048
    return response


@pytest.mark.parametrize(("status", "error_type", "request_"), BAD_REQUESTS)
def test_a_bad_request_gets_its_status_and_error_type(
    client: httpx.Client, status: int, error_type: str, request_: dict[str, Any]
) -> None:
    response = expect_error(client, status, error_type, **request_)
    assert "lighthouse" not in response.text.lower()  # an error repeats no text of the request
    assert client.get("/ping").status_code == 200


@pytest.mark.parametrize("second", ["application/json", "application/jsonlines"])
def test_two_content_types_are_refused(client: httpx.Client, second: str) -> None:
    headers = [("Content-Type", "application/json"), ("Content-Type", second)]
    body = json.dumps({"question": QUESTION, "context": CONTEXT}).encode()
    response = expect_error(client, 415, "unsupported_media_type", content=body, headers=headers)
    assert "Content-Type is not one media type" in response.json()["error"]


def test_a_list_field_that_stands_twice_is_one_list(client: httpx.Client) -> None:
    body = {"question": QUESTION, "context": CONTEXT}
    accept = [("Accept", "text/csv"), ("Accept", "application/json")]
    assert client.post("/invocations", json=body, headers=accept).status_code == 200
    encoded = [("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]
    expect_error(client, 415, "unsupported_media_type", json=body, headers=encoded)


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_a_precision_that_is_not_loaded_is_named_with_its_item_in_small_and_large_requests(
    client: httpx.Client, form: str
) -> None:
    item = {"question": QUESTION, "context": CONTEXT}
    large = {"question": QUESTION, "context": CONTEXT * 300}
    assert len(json.dumps(large)) > LARGE_BODY_BYTES
    messages = {
        expect_error(client, 422, "precision_unavailable", json={form: items}).json()["error"]
        for items in (
            [item, item, item, {**item, "precision": "BF16"}],
            [item, large, item, {**item, "precision": "BF16"}],
        )
    }
    (message,) = messages
    assert message.startswith(f"{form}.3.precision: BF16 is not loaded")


def test_an_error_in_one_item_of_a_list_names_the_item(client: httpx.Client) -> None:
    response = expect_error(
        client, 422, "invalid_request", json={"inputs": [{"question": "a", "context": "b"}, {"question": "a"}]}
    )
    assert "inputs.1.context" in response.json()["error"]


def test_a_body_larger_than_the_limit_is_refused(client: httpx.Client) -> None:
    expect_error(
        client, 413, "payload_too_large", content=b" " * (25 * 2**20 + 1), headers={"content-type": "application/json"}
    )


def test_a_body_larger_than_the_limit_is_refused_even_without_a_content_length(client: httpx.Client) -> None:
    chunks = (b" " * 2**20 for _ in range(26))
    expect_error(client, 413, "payload_too_large", content=chunks, headers={"content-type": "application/json"})


def test_the_error_for_a_document_that_is_too_long_names_the_limit(client: httpx.Client) -> None:
    response = expect_error(
        client, 422, "document_too_long", json={"question": QUESTION, "context": "word " * 3_000_000}
    )
    assert "windows" in response.json()["error"]


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/invocations", 405)])
def test_a_wrong_path_or_method_gets_an_error_in_the_same_form(client: httpx.Client, path: str, status: int) -> None:
    response = client.get(path)
    assert response.status_code == status
    assert set(response.json()) == {"error_type", "error", "request_id"}
