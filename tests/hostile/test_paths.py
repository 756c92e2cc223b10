"""Every method on every path, and paths of any form, get a documented answer."""

import json
import re

import httpx
import pytest

from tests.server.questions import ANSWER, BODY
from tools.local_server import LocalServer

HEADERS = {"x-amzn-sagemaker-inference-id": "mine", "x-amzn-sagemaker-custom-attributes": "trace=1"}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
ALLOWED = {
    "/ping": {"GET", "HEAD", "POST"},
    "/health": {"GET", "HEAD", "POST"},
    "/info": {"GET", "HEAD"},
    "/metrics": {"GET", "HEAD"},
    "/execution-parameters": {"GET", "HEAD"},
    "/invocations": {"POST"},
    "/": {"GET", "HEAD", "POST"},
    "/v1/models": {"GET", "HEAD"},
    "/v1/models/bert-qa": {"GET", "HEAD"},
    "/v1/models/bert-qa:predict": {"POST"},
    "/docs": {"GET", "HEAD"},
    "/openapi.json": {"GET", "HEAD"},
    "/static-offline-docs/swagger-ui.css": {"GET", "HEAD"},
    "/page/page.js": {"GET", "HEAD"},
}
ANSWERING = {"/invocations", "/", "/v1/models/bert-qa:predict"}


def is_error(response: httpx.Response, status: int, error_type: str) -> bool:
    """Return whether a response is this error, with the form and the headers of every error."""
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"] == "mine"
    assert response.headers["x-amzn-sagemaker-custom-attributes"] == "trace=1;request_id=mine"
    body = response.json()
    assert set(body) == {"error_type", "error", "request_id"}
    assert len(response.content) <= 2048
    return (response.status_code, body["error_type"], body["request_id"]) == (status, error_type, "mine")


@pytest.mark.parametrize("path", ALLOWED)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_answered_or_gets_405_with_the_methods_that_are_allowed(
    client: httpx.Client, method: str, path: str
) -> None:
    response = client.request(method, path, headers=HEADERS)
    if method in ALLOWED[path]:
        is_question = method == "POST" and path in ANSWERING
        assert response.status_code == (400 if is_question else 200)  # an empty body is not JSON
    else:
        assert response.status_code == 405
        assert method == "HEAD" or is_error(response, 405, "method_not_allowed")
        assert set(response.headers["allow"].split(", ")) == ALLOWED[path]


@pytest.mark.parametrize("path", sorted(path for path in ALLOWED if "HEAD" in ALLOWED[path]))
def test_head_has_the_headers_of_get_and_no_body(client: httpx.Client, path: str) -> None:
    got, headed = client.get(path), client.head(path)
    assert headed.content == b""
    assert headed.status_code == got.status_code
    assert headed.headers.get("content-type") == got.headers.get("content-type")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/page",
        "/page/",
        "/page/index.html",
        "/page/..%2f..%2froutes.py",
        "/ping/",
        "//ping",
        "/ping//",
        "/./ping/../info",
        "/PING",
        "/%70ing/x",
        "/ping%2F",
        "/%2Fping",
        "/ping%00",
        "/%ff%fe",
        "/%",
        "/%zz",
        "/ping;a=b",
        "/invocations/",
        "//invocations",
        "/invocations%20",
        "/models",
        "/static-offline-docs/..%2f..%2f..%2fetc/passwd",
        "/static-offline-docs/%00",
        "/static-offline-docs/nothing",
        "/static-offline-docs/" + "x" * 5000,
        "/" + "x" * 30_000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_gets_404(client: httpx.Client, method: str, path: str) -> None:
    """httpx would normalize these paths, so they go past it."""
    is_a_file = path.startswith("/static-offline-docs/")
    status, error_type = (405, "method_not_allowed") if is_a_file and method == "POST" else (404, "not_found")
    response = client.request(method, "/unknown", headers=HEADERS, extensions={"target": path.encode()})
    assert is_error(response, status, error_type)


@pytest.mark.parametrize("path", ["/%70ing", "/ping?", "/ping?a=b&&=;%ff", "/ping?" + "x" * 30_000, "/ping?%00"])
def test_an_encoded_path_and_a_query_are_those_of_the_route(client: httpx.Client, path: str) -> None:
    assert client.get("/ping", extensions={"target": path.encode()}).status_code == 200


def test_a_query_does_not_change_the_answer(client: httpx.Client) -> None:
    assert client.post("/invocations?top_k=0&question=x", json=BODY).json()["answer"] == ANSWER
    assert client.post("/%69nvocations", json=BODY).json()["answer"] == ANSWER


def test_errors_outside_the_answering_route_are_logged_and_counted(client: httpx.Client, server: LocalServer) -> None:
    def counted(status: int) -> float:
        pattern = rf'^bertqa_requests_total{{status="{status}"}} (\S+)$'
        found = re.search(pattern, client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    before = counted(404), counted(405)
    unknown, wrong = client.get("/nothing"), client.put("/info")
    assert (counted(404), counted(405)) == (before[0] + 1, before[1] + 1)
    assert server.log
    rows = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    lines = {row["request_id"]: row for row in rows if "request_id" in row}
    assert lines[unknown.headers["x-request-id"]]["error"].startswith("not_found: ")
    line = lines[wrong.headers["x-request-id"]]
    assert (line["message"], line["level"], line["status"], line["route"]) == ("invocation", "INFO", 405, "/info")
