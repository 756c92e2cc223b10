"""What comes back to an endpoint's caller beside the body."""

import httpx
import pytest

from serve.api.custom_attributes import HEADER, MAX_CHARACTERS, answered


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
def test_what_was_given_comes_back_with_the_request_id_where_there_is_room(given: str | None, expected: str) -> None:
    assert answered(given, "abc") == expected


@pytest.mark.parametrize("body", [{"question": "Who?", "context": "Zoë."}, {"question": "Who?"}])
def test_the_server_sends_it_with_answers_and_errors(body: dict[str, str], client: httpx.Client) -> None:
    headers = {HEADER: "trace=1", "X-Amzn-SageMaker-Inference-Id": "mine"}
    assert client.post("/invocations", json=body, headers=headers).headers[HEADER] == "trace=1;request_id=mine"


def test_a_request_id_has_the_length_of_an_inference_id(client: httpx.Client) -> None:
    headers = {"X-Amzn-SageMaker-Inference-Id": "x" * 100}
    assert client.post("/invocations", json={}, headers=headers).json()["request_id"] == "x" * 64
