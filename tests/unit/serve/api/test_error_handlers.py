"""Errors outside the answering route: the response, the log line and the metrics, for every kind of exception."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from serve.api.error_handlers import ErrorHandlers
from serve.api.error_response import INTERNAL_MESSAGE
from serve.errors import ModelNotLoaded
from serve.metrics import Metrics, exposition

HEADERS = {"x-amzn-sagemaker-inference-id": "mine", "x-amzn-sagemaker-custom-attributes": "trace=1"}
ERRORS = {
    "bug": ValueError("secret"),
    "group": ExceptionGroup("secret", [ValueError("secret")]),
    "refusal": ModelNotLoaded("no such model"),
    "teapot": HTTPException(418),
    "gone": ClientDisconnect(),
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def app(metrics: Metrics) -> FastAPI:
    made = FastAPI(redirect_slashes=False)

    @made.get("/raise/{name}")
    async def fail(name: str) -> None:
        raise ERRORS[name]

    @made.post("/raise/{name}")
    async def fail_too(name: str) -> None:
        raise ERRORS[name]

    @made.get("/begin")
    async def begin() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"a"
            raise ValueError("secret")

        return StreamingResponse(pieces())

    ErrorHandlers(metrics).install(made)
    return made


def request(app: FastAPI, method: str, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)  # raises what the application raises
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=HEADERS) as client:
            return await client.request(method, path)

    return asyncio.run(send())


@pytest.mark.parametrize(
    "case",
    [
        ("GET", "/raise/bug", 500, "internal", "/raise/{name}"),
        ("GET", "/raise/group", 500, "internal", "/raise/{name}"),
        ("GET", "/raise/teapot", 500, "internal", "/raise/{name}"),
        ("GET", "/raise/refusal", 404, "model_not_loaded", "/raise/{name}"),
        ("GET", "/unknown", 404, "not_found", None),
        ("GET", "/begin/", 404, "not_found", None),
        ("PUT", "/begin", 405, "method_not_allowed", "/begin"),
        ("OPTIONS", "/raise/bug", 405, "method_not_allowed", "/raise/{name}"),
    ],
)
def test_every_error_has_the_body_and_headers_and_is_logged_and_counted(
    app: FastAPI,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
    case: tuple[str, str, int, str, str | None],
) -> None:
    method, path, status, error_type, route = case
    with caplog.at_level(logging.INFO):
        response = request(app, method, path)
    assert response.status_code == status
    assert response.headers["x-request-id"] == "mine"
    assert response.headers["x-amzn-sagemaker-custom-attributes"] == "trace=1;request_id=mine"
    body = response.json()
    assert (body["error_type"], body["request_id"]) == (error_type, "mine")
    assert "secret" not in response.text
    assert (body["error"] == INTERNAL_MESSAGE) == (status == 500)
    *unexpected, line = (vars(record) for record in caplog.records if record.name == "request")
    assert (line["message"], line["request_id"], line["status"]) == ("invocation", "mine", status)
    assert line["error"].startswith(error_type)
    assert line.get("route") == route
    assert [bool(each["exc_info"]) for each in unexpected] == ([True] if status == 500 else [])
    assert f'status="{status}"}} 1.0' in exposition(metrics.registry, "")[0].decode()


@pytest.mark.parametrize(("path", "allowed"), [("/raise/bug", "GET, POST"), ("/begin", "GET"), ("/docs", "GET, HEAD")])
def test_allow_lists_the_methods_of_all_routes_with_the_path(app: FastAPI, path: str, allowed: str) -> None:
    assert request(app, "PATCH", path).headers["allow"] == allowed


def test_a_client_that_has_left_is_no_error_of_the_server(
    app: FastAPI, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert request(app, "GET", "/raise/gone").status_code == 499
    (line,) = (record for record in caplog.records if record.name == "request")
    assert (line.levelname, vars(line)["error"]) == ("INFO", "client_gone")
    assert 'status="499"} 1.0' in exposition(metrics.registry, "")[0].decode()


def test_an_error_after_the_response_has_begun_goes_on_to_the_server(app: FastAPI) -> None:
    with pytest.raises(ValueError, match="secret"):
        request(app, "GET", "/begin")
