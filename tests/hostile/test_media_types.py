"""Content-Type, Content-Encoding and Accept of any length and form: an answer or a documented error, without delay."""

import time

import httpx
import pytest

from tests.server.questions import ANSWER, BODY

DIGITS = "1" * 5000
SECONDS = 15  # with pauses of a busy machine; tests/unit/serve/api/test_media_type.py has a limit on the CPU time


def ask(client: httpx.Client, **headers: str) -> httpx.Response:
    """Ask a question with these headers, and check that the server answers the next one."""
    begin = time.monotonic()
    response = client.post("/invocations", json=BODY, headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert client.get("/ping").status_code == 200
    assert time.monotonic() - begin < SECONDS
    return response


@pytest.mark.parametrize(
    "value",
    [
        f"application/json; charset*{DIGITS}=x",
        f"application/json; charset*0{DIGITS}*=x",
        "application/json" + ";" * 30_000,
        "application/json; charset=" + '"' * 30_000,
        "application/json; charset=latin-1",
        "application/json; charset",
        "application/json; charset=\xff",
        ";",
        "/",
        '"',
        "text/csv",
    ],
)
def test_a_content_type_that_is_not_supported_gets_415(client: httpx.Client, value: str) -> None:
    response = ask(client, content_type=value.encode("latin-1"))  # type: ignore[arg-type]
    assert (response.status_code, response.json()["error_type"]) == (415, "unsupported_media_type")
    assert len(response.content) <= 2048


@pytest.mark.parametrize("value", [f"application/json; charset*{'1' * 900}=x", "application/json" + ";" * 1000])
def test_a_content_type_of_up_to_a_kilobyte_is_parsed(client: httpx.Client, value: str) -> None:
    assert ask(client, content_type=value).json()["answer"] == ANSWER


@pytest.mark.parametrize("value", ["gzip", "identity" + " " * 5000 + "x", "," * 30_000])
def test_a_content_encoding_that_is_not_supported_gets_415(client: httpx.Client, value: str) -> None:
    response = ask(client, content_encoding=value)
    assert (response.status_code, response.json()["error_type"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "value",
    [
        f"application/json;q*{DIGITS}=1",
        "application/json" + ";" * 30_000,
        "," * 30_000,
        '"' * 30_000,
        "application/json;q=nan",
        "application/json;q=-0",
        "application/json;q=1e999",
        "text/csv",
        ";q=1",
        "\xff",
    ],
)
def test_an_accept_that_does_not_allow_json_gets_406(client: httpx.Client, value: str) -> None:
    response = ask(client, accept=value.encode("latin-1"))  # type: ignore[arg-type]
    assert (response.status_code, response.json()["error_type"]) == (406, "not_acceptable")
    assert len(response.content) <= 2048


@pytest.mark.parametrize(
    "value", [f"application/json;q*{'1' * 900}=1", "application/json" + ";" * 1000, "," * 1000 + "*/*"]
)
def test_an_accept_of_up_to_a_kilobyte_is_parsed(client: httpx.Client, value: str) -> None:
    assert ask(client, accept=value).json()["answer"] == ANSWER
