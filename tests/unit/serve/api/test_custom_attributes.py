"""The custom attributes of a response, and the request id in them."""

import httpx
import pytest

from serve.api.custom_attributes import HEADER, MAX_CHARACTERS, with_request_id


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "request_id=abc"),
        ("", "request_id=abc"),
        ("trace=1", "trace=1;request_id=abc"),
        ("x" * (MAX_CHARACTERS - 15), "x" * (MAX_CHARACTERS - 15) + ";request_id=abc"),
        ("x" * (MAX_CHARACTERS - 14), "x" * (MAX_CHARACTERS - 14)),
        ("x" * (MAX_CHARACTERS + 1), "request_id=abc"),
        ("é", "request_id=abc"),
        ("tab\there", "request_id=abc"),
    ],
)
def test_the_request_id_is_added_to_the_attributes_if_it_fits(given: str | None, expected: str) -> None:
    assert with_request_id(given, "abc") == expected


@pytest.mark.parametrize("body", [{"question": "Who?", "context": "Zoë."}, {"question": "Who?"}])
def test_answers_and_errors_have_the_header(body: dict[str, str], client: httpx.Client) -> None:
    headers = {HEADER: "trace=1", "X-Amzn-SageMaker-Inference-Id": "mine"}
    assert client.post("/invocations", json=body, headers=headers).headers[HEADER] == "trace=1;request_id=mine"


def test_a_request_id_has_the_length_of_an_inference_id(client: httpx.Client) -> None:
    headers = {"X-Amzn-SageMaker-Inference-Id": "x" * 100}
    assert client.post("/invocations", json={}, headers=headers).json()["request_id"] == "x" * 64
