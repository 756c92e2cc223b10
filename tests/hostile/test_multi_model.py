"""What a client can send to the routes under /models: each gets a documented error, in bounded memory."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.server.questions import BODY
from tools.local_server import LocalServer

HEADERS = {"x-amzn-sagemaker-inference-id": "mine", "x-amzn-sagemaker-custom-attributes": "trace=1"}
MB = 2**20


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a multi-model endpoint; no model is needed."""
    folder = tmp_path_factory.mktemp("endpoint")
    with LocalServer(folder / "nothing", {"SAGEMAKER_MULTI_MODEL": "true"}, folder / "log") as server:
        yield server


@pytest.fixture
def client(endpoint: LocalServer) -> Iterator[httpx.Client]:
    """Connect to the endpoint, and check that it is healthy after the test."""
    with httpx.Client(base_url=endpoint.url, timeout=60, headers=HEADERS) as connected:
        yield connected
        assert connected.get("/ping").status_code == 200


def is_error(response: httpx.Response, status: int, error_type: str) -> bool:
    """Return whether a response is this error, with the form and the headers of every error."""
    assert response.headers["x-request-id"] == "mine"
    assert response.headers["x-amzn-sagemaker-custom-attributes"] == "trace=1;request_id=mine"
    assert len(response.content) <= 2048
    body = response.json()
    assert body["request_id"] == "mine"
    return (response.status_code, body["error_type"]) == (status, error_type)


def loading(name: Any, url: Any) -> bytes:
    return json.dumps({"model_name": name, "url": url}).encode()


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_large_body_of_a_load_is_refused_while_it_arrives(
    client: httpx.Client, endpoint: LocalServer, is_chunked: bool
) -> None:
    (worker,) = psutil.Process(endpoint.process.pid).children()
    before = worker.memory_info().rss
    body = (b" " * MB for _ in range(60)) if is_chunked else b" " * (60 * MB)
    assert is_error(client.post("/models", content=body), 413, "payload_too_large")
    assert worker.memory_info().rss - before < 20 * MB


def test_a_load_is_refused_before_the_rest_of_its_body_has_arrived(endpoint: LocalServer) -> None:
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=60) as connection:
        connection.sendall(b"POST /models HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + b" " * 70_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("size", [65_536, 65_537])
def test_the_limit_on_a_load_is_64_kib(client: httpx.Client, size: int) -> None:
    response = client.post("/models", content=b" " * size)
    assert is_error(response, *((413, "payload_too_large") if size > 65_536 else (400, "malformed_body")))


@pytest.mark.parametrize(
    ("body", "status", "error_type"),
    [
        (b"", 400, "malformed_body"),
        (b"[" * 60_000, 400, "malformed_body"),
        (b'{"model_name": "a", "url": "\xff"}', 400, "malformed_body"),
        (b"null", 422, "invalid_request"),
        (loading("m" * 50_000, "/x"), 422, "invalid_request"),
        (loading("", "/x"), 422, "invalid_request"),
        (loading("a/b", "/x"), 422, "invalid_request"),
        (loading(5, "/x"), 422, "invalid_request"),
        (loading("a", ""), 422, "invalid_request"),
        (loading("a", None), 422, "invalid_request"),
        (loading("a", "/" + "x" * 50_000), 404, "model_not_found"),
        (loading("a", "/a\0b"), 404, "model_not_found"),
        (loading("a", "/dev/null"), 404, "model_not_found"),
        (loading("a", "nothing"), 404, "model_not_found"),
        (loading("a", "/proc"), 400, "model_unusable"),
    ],
)
def test_a_bad_load_gets_its_error(client: httpx.Client, body: bytes, status: int, error_type: str) -> None:
    response = client.post("/models", content=body)
    assert is_error(response, status, error_type), response.text
    assert "Input should" not in response.text


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b"[" * 100_000])
def test_a_damaged_manifest_gets_model_unusable(client: httpx.Client, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    (tmp_path / "manifest.json").write_bytes(content)
    (tmp_path / "model_fp32.pt").write_bytes(b"")
    response = client.post("/models", content=loading("a", str(tmp_path)))
    assert is_error(response, 400, "model_unusable"), response.text
    assert client.get("/models").json() == {"models": []}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/models", {"GET", "HEAD", "POST"}),
        ("OPTIONS", "/models", {"GET", "HEAD", "POST"}),
        ("POST", "/models/a", {"DELETE", "GET", "HEAD"}),
        ("OPTIONS", "/models/a", {"DELETE", "GET", "HEAD"}),
        ("GET", "/models/a/invoke", {"POST"}),
        ("DELETE", "/models/a/invoke", {"POST"}),
        ("PATCH", "/ping", {"GET", "HEAD", "POST"}),
    ],
)
def test_a_405_lists_the_methods_that_are_allowed(
    client: httpx.Client, method: str, path: str, allowed: set[str]
) -> None:
    response = client.request(method, path)
    assert is_error(response, 405, "method_not_allowed")
    assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("name", ["nobody", "%00", "%ff", "..", "n" * 30_000, "%22%5c%01", "a%20b"])
@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("DELETE", ""), ("POST", "/invoke")])
def test_an_unknown_model_gets_404_with_the_callers_headers(
    client: httpx.Client, method: str, name: str, rest: str
) -> None:
    target = f"/models/{name}{rest}".encode()
    response = client.request(method, f"/models/nobody{rest}", json=BODY, extensions={"target": target})
    assert is_error(response, 404, "model_not_loaded")
    assert name not in response.text


@pytest.mark.parametrize(
    "path", ["/models/", "/models//invoke", "/models/a%2Fb", "/models/..%2f..%2fetc/invoke", "/invocations"]
)
def test_an_unknown_path_gets_404(client: httpx.Client, path: str) -> None:
    assert is_error(client.post("/unknown", json=BODY, extensions={"target": path.encode()}), 404, "not_found")


@pytest.mark.parametrize(
    "query", ["next_page_token=" + "x" * 30_000, "next_page_token=%00%ff", "next_page_token", "&&=&a=b"]
)
def test_any_query_of_the_list_is_answered(client: httpx.Client, query: str) -> None:
    assert client.get("/models", extensions={"target": f"/models?{query}".encode()}).json() == {"models": []}


def test_errors_are_logged_and_counted_without_a_model(client: httpx.Client, endpoint: LocalServer) -> None:
    def counted() -> float:
        pattern = r'^bertqa_requests_total{model="",status="404"} (\S+)$'
        found = re.search(pattern, client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    before = counted()
    headers = {"x-amzn-sagemaker-inference-id": "logged", "x-amzn-sagemaker-target-model": "Zyx" * 1000}
    assert client.post("/models/nobody/invoke", json=BODY, headers=headers).status_code == 404
    assert client.get("/models/nobody").status_code == 404
    assert counted() == before + 2
    assert endpoint.log
    (line,) = (json.loads(each) for each in endpoint.log.read_text().splitlines() if '"logged"' in each)
    assert (line["message"], line["status"]) == ("invocation", 404)
    assert line["error"].startswith("model_not_loaded: ")
    assert "nobody" not in str(line)
