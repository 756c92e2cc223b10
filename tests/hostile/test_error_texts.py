"""Nothing that a client chose makes an error body or a log line long, and no name that it chose is repeated."""

import json
from typing import Any

import httpx
import pytest

from tests.server.questions import BODY
from tests.waiting import wait_until
from tools.local_server import LocalServer

NAME = "Zyx" * 1_000_000
LINE_BYTES = 20_000


def log_of(server: LocalServer, request_id: str) -> str:
    """Return the log lines of a request. They follow its response."""
    assert server.log
    log = server.log
    wait_until("the log has a line of the request", lambda: request_id in log.read_text())
    return "\n".join(line for line in server.log.read_text().splitlines() if request_id in line)


@pytest.mark.parametrize(
    "body",
    [
        {**BODY, "parameters": {NAME: 1}},
        {**BODY, "parameters": {"\x01" * 100_000: 1}},
        {**BODY, "parameters": {f"Zyx{i}": 1 for i in range(1000)}},
        {"inputs": {**BODY, "parameters": {NAME: 1}}},
        {"instances": [{**BODY, "parameters": {NAME: 1}}]},
        {**BODY, "version": NAME},
        {**BODY, "version": "\x01" * 100_000},
        {**BODY, "parameters": {"top_k": NAME}},
        {**BODY, "parameters": NAME},
        {NAME: 1},
    ],
    ids=range(10),
)
def test_an_error_is_short_and_repeats_no_name(server: LocalServer, client: httpx.Client, body: dict[str, Any]) -> None:
    response = client.post("/invocations", json=body)
    assert response.status_code == 422
    assert len(response.content) <= 2048
    lines = log_of(server, response.headers["x-request-id"])
    assert response.json()["error"] in json.loads(lines)["error"]
    assert len(lines) < LINE_BYTES
    for text in (response.text, lines):
        assert "Zyx" not in text
        assert "\\u0001" not in text
        assert "Input should" not in text


def test_the_known_name_that_resembles_an_unknown_one_is_suggested(client: httpx.Client) -> None:
    response = client.post("/invocations", json={**BODY, "parameters": {"topk": 1}})
    assert response.json()["error"] == "parameters: has a name that is not known; did you mean top_k?"


@pytest.mark.parametrize("path", ["/invocations", "/Zyx", "/ping/Zyx"])
@pytest.mark.parametrize("length", [64, 60_000])
def test_headers_of_a_client_stay_short(server: LocalServer, client: httpx.Client, path: str, length: int) -> None:
    headers = {
        "x-amzn-sagemaker-inference-id": '"\\' * (length // 2),
        "x-amzn-sagemaker-custom-attributes": "Zyx",
        "x-amzn-sagemaker-target-model": "Zyx",
    }
    response = client.post(path, json={}, headers=headers)
    assert response.status_code in (404, 422)
    assert len(response.content) <= 2048
    assert response.json()["request_id"] == '"\\' * 32
    lines = log_of(server, '\\"\\\\' * 32)
    assert max(map(len, lines.splitlines())) < LINE_BYTES
    assert "Zyx" not in lines
    assert response.headers["x-amzn-sagemaker-custom-attributes"].startswith("Zyx")


def test_the_errors_of_lines_are_short(client: httpx.Client) -> None:
    lines = [{**BODY, "parameters": {NAME: 1}}, {**BODY, "version": "\x01" * 10_000}, BODY]
    content = "\n".join(map(json.dumps, lines))
    response = client.post("/invocations", content=content, headers={"content-type": "application/jsonlines"})
    errors = response.content.splitlines()
    assert [json.loads(line).get("error_type") for line in errors] == ["invalid_request", "invalid_request", None]
    assert all(len(line) <= 2048 for line in errors)
    assert b"Zyx" not in response.content
