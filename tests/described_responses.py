"""Compare every response that a test's HTTP client receives with the OpenAPI description of the server.

A conftest.py that imports the fixture `responses_are_as_described` turns this on for the tests of its folder.
"""

import functools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from container import cpu
from container.access.api_keys import ApiKeys
from container.settings import Settings
from model_loader.artifact import open_artifact
from serve.api.app import create_app
from serve.lifecycle import Lifecycle
from serve.multi_model.app import create_multi_model_app
from serve.multi_model.registry import ModelRegistry

UNDESCRIBED = re.compile(r"/docs(/oauth2-redirect)?|/openapi\.json|/static-offline-docs/.*|/page/.*")
ERROR = {"$ref": "#/components/schemas/ErrorBody"}
ERROR_HEADERS = ("x-request-id", "x-amzn-sagemaker-custom-attributes")
# Responses that belong to no operation: what the server answers for an unknown path, and for an unknown method.
NO_OPERATION = {401: (*ERROR_HEADERS, "www-authenticate"), 404: ERROR_HEADERS, 405: (*ERROR_HEADERS, "allow")}
# As Vertex AI sets them: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
VERTEX = {
    "AIP_HEALTH_ROUTE": "/v1/endpoints/1234567890/deployedModels/42",
    "AIP_PREDICT_ROUTE": "/v1/endpoints/1234567890/deployedModels/42:predict",
}

Description = dict[str, Any]


@functools.cache
def descriptions(demo_dir: Path) -> tuple[Description, ...]:
    """Return the descriptions of the application for one model, and of the one for many; then of both with API keys."""
    box = cpu.detect("DEFAULT")
    artifact = open_artifact(demo_dir, ("FP32",), box)
    keys = ApiKeys([b"a-key-that-is-never-sent"])
    apps = (
        create_app(Lifecycle(Settings(), artifact, box)),
        create_multi_model_app(ModelRegistry(Settings(), box)),
        create_app(Lifecycle(Settings(**VERTEX, METRICS_WITHOUT_KEY="false"), artifact, box), keys),
        create_multi_model_app(ModelRegistry(Settings(), box), keys),
    )
    return tuple(app.fastapi.openapi() for app in apps)


def check(response: httpx.Response, known: Sequence[Description]) -> None:
    """Check one response of an application that has one of these descriptions.

    Raises: AssertionError, which says what differs from the description.
    """
    method, path, status = response.request.method, response.request.url.path, response.status_code
    where = f"{method} {path[:100]}: {status}"
    if method == "OPTIONS" and "access-control-allow-methods" in response.headers:
        return  # a preflight, which belongs to every operation
    for description in known:
        if status == 401 and "securitySchemes" not in description["components"]:
            continue
        operation = _operation(description, "get" if method == "HEAD" else method.lower(), path)
        if operation is not None:
            _check_operation(where, response, operation, description["components"])
            return
    if UNDESCRIBED.fullmatch(path) and status in (200, 304):
        return
    assert status in NO_OPERATION, f"{where} is not described"
    _check_headers(where, NO_OPERATION[status], response.headers)
    if method != "HEAD":
        _check_value(where, ERROR, response.json(), known[0]["components"])


def _operation(description: Description, method: str, path: str) -> dict[str, Any] | None:
    """Return the operation that a path and a method belong to."""
    for template, operations in description["paths"].items():
        name = "[^/:]+" if template.startswith("/v1/models/") else "[^/]+"
        if method in operations and re.fullmatch(re.sub(r"\{\w+\}", name, template), path):
            found: dict[str, Any] = operations[method]
            return found
    return None


def _check_operation(
    where: str, response: httpx.Response, operation: dict[str, Any], components: dict[str, Any]
) -> None:
    status = str(response.status_code)
    assert status in operation["responses"], f"{where} is not one of the statuses that are described"
    described = operation["responses"][status]
    headers = described.get("headers", {})
    _check_headers(where, headers, response.headers)
    for name, header in headers.items():
        value = response.headers[name]
        is_number = header["schema"]["type"] == "integer"
        _check_value(f"{where}: {name}", header["schema"], int(value) if is_number else value, components)
    if response.request.method == "HEAD":
        assert response.content == b"", where
    elif "content" in described:
        _check_content(where, response, described["content"], components)
    else:
        assert response.content == b"", f"{where} has a body, which is not described"
        assert "content-type" not in response.headers, where


def _check_content(where: str, response: httpx.Response, content: dict[str, Any], components: dict[str, Any]) -> None:
    media_type = response.headers["content-type"].partition(";")[0]
    assert media_type in content, f"{where} has the media type {media_type}, which is not described"
    schema = content[media_type]["schema"]
    if media_type == "application/json":
        _check_value(where, schema, response.json(), components)
    else:
        _check_value(where, schema, response.text, components)
    if media_type == "application/jsonlines":
        one_line = {"anyOf": [content["application/json"]["schema"], ERROR]}
        for line in filter(None, response.content.split(b"\n")):
            _check_value(where, one_line, json.loads(line), components)


def _check_headers(where: str, names: Iterable[str], headers: httpx.Headers) -> None:
    for name in names:
        assert name in headers, f"{where} has no header {name}"


def _check_value(where: str, schema: dict[str, Any], value: Any, components: dict[str, Any]) -> None:
    validator = Draft202012Validator({**schema, "components": components})
    errors = [error.message[:300] for error in validator.iter_errors(value)]
    assert not errors, f"{where} does not follow its schema: {errors}"


@pytest.fixture(autouse=True)
def responses_are_as_described(demo_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check every response that httpx receives, from whatever thread of the test."""
    known = descriptions(demo_dir)
    send = httpx.Client.send
    found: list[str] = []

    def send_and_check(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        response = send(client, request, **options)
        if not options.get("stream"):
            try:
                check(response, known)
            except AssertionError as error:
                found.append(str(error))
        return response

    monkeypatch.setattr(httpx.Client, "send", send_and_check)
    yield
    assert not found, found
