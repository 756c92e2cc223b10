"""The OpenAPI description agrees with the routes that are served, for one model and for many."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import openapi_spec_validator
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from container import cpu
from container.access.api_keys import ApiKeys
from container.settings import Settings
from container.validation.routes import ANSWERING_ROUTES, HEALTH_ROUTES, health_route, predict_route
from model_loader.artifact import open_artifact
from serve.api import schemas
from serve.api.app import create_app
from serve.lifecycle import Lifecycle
from serve.multi_model.app import create_multi_model_app
from serve.multi_model.registry import ModelRegistry
from tests.described_responses import check

OF_ONE_MODEL = {"/invocations", "/", "/v1/models/{model_name}:predict"}
ANSWERING = {*OF_ONE_MODEL, "/models/{model_name}/invoke"}


@pytest.fixture(params=["one model", "many models", "one model with a key", "many models with a key"])
def app(request: pytest.FixtureRequest, demo_dir: Path) -> Starlette:
    """An application that has not been started."""
    box = cpu.detect("DEFAULT")
    keys = ApiKeys([b"a-key-that-is-never-sent"]) if "key" in request.param else None
    if request.param.startswith("many models"):
        return create_multi_model_app(ModelRegistry(Settings(), box), keys).fastapi
    return create_app(Lifecycle(Settings(), open_artifact(demo_dir, ("FP32",), box), box), keys).fastapi


def description(app: Starlette) -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    shown: dict[str, dict[str, dict[str, dict[str, object]]]] = json.loads(json.dumps(app.openapi()))  # type: ignore[attr-defined]
    return shown


def served(app: Starlette) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        if isinstance(route, Route) and route.include_in_schema:
            for method in route.methods or ():
                yield route.path_format, method.lower()


def test_every_route_is_served_once_and_described(app: Starlette) -> None:
    routes = [route for route in served(app) if route[1] != "head"]
    described = {(path, method) for path, methods in description(app)["paths"].items() for method in methods}
    assert len(routes) == len(set(routes))
    assert set(routes) == described
    assert ANSWERING & {path for path, _ in routes} in (OF_ONE_MODEL, ANSWERING - OF_ONE_MODEL)


def test_every_reference_leads_to_a_schema(app: Starlette) -> None:
    shown = description(app)
    known = {f"#/components/schemas/{name}" for name in shown["components"]["schemas"]}

    def references(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, part in value.items():
                if key == "$ref":
                    yield part
                else:
                    yield from references(part)
        elif isinstance(value, list):
            for part in value:
                yield from references(part)

    assert set(references(shown)) <= known
    assert f"#/components/schemas/{schemas.SampleRequest.__name__}" in set(references(shown))


def test_the_path_of_a_model_is_described_with_its_parameter(app: Starlette) -> None:
    for path, methods in description(app)["paths"].items():
        if path not in ANSWERING:
            continue
        operation = methods["post"]
        names = [parameter["name"] for parameter in operation["parameters"]]  # type: ignore[attr-defined]
        assert path.count("{") == len(names)
        assert all(f"{{{name}}}" in path for name in names)
        assert ("404" in operation["responses"]) == bool(names)  # type: ignore[operator]


def test_every_operation_has_an_id_of_its_own(app: Starlette) -> None:
    ids = [each["operationId"] for methods in description(app)["paths"].values() for each in methods.values()]
    assert len(ids) == len(set(map(str, ids)))


def test_only_a_server_with_keys_describes_them(app: Starlette, request: pytest.FixtureRequest) -> None:
    shown = description(app)
    has_keys = "key" in request.node.callspec.params["app"]
    assert ("securitySchemes" in shown["components"]) == has_keys
    refused = {
        path for path, methods in shown["paths"].items() for each in methods.values() if "401" in each["responses"]
    }  # type: ignore[operator]
    assert refused == (set(shown["paths"]) - {"/ping", "/health", "/metrics"} if has_keys else set())


def test_no_platform_can_choose_a_route_that_the_server_uses_otherwise(app: Starlette) -> None:
    paths = {route.path_format if isinstance(route, Route) else "/static-offline-docs" for route in app.routes}
    for path in sorted(paths - {*HEALTH_ROUTES, *ANSWERING_ROUTES}):
        named = path.replace("{model_name}", "m").replace("{path:path}", "page.js")
        with pytest.raises(ValueError, match="must be a path"):
            health_route(named)
        with pytest.raises(ValueError, match="must be a path"):
            predict_route(named, model_name="another")


def test_the_description_is_valid(app: Starlette) -> None:
    openapi_spec_validator.validate(description(app))  # type: ignore[arg-type]


def test_no_operation_has_the_error_of_fastapi_that_never_occurs(app: Starlette) -> None:
    shown = description(app)
    assert "HTTPValidationError" not in json.dumps(shown)
    with_422 = {
        path for path, methods in shown["paths"].items() for each in methods.values() if "422" in each["responses"]
    }  # type: ignore[operator]
    assert with_422 <= {*ANSWERING, "/models"}


ANSWER = {"answer": "a", "score": 0.5, "start": 0, "end": 1}
SAMPLE = {**ANSWER, "question": "q", "precision": "INT8", "version": "INT8"}


def of_invocations(status: int, body: object, **headers: str) -> httpx.Response:
    all_headers = {"x-request-id": "1", "x-amzn-sagemaker-custom-attributes": "a"} | headers
    return httpx.Response(status, json=body, headers=all_headers, request=httpx.Request("POST", "http://a/invocations"))


@pytest.fixture
def one_model(demo_dir: Path) -> Starlette:
    box = cpu.detect("DEFAULT")
    return create_app(Lifecycle(Settings(), open_artifact(demo_dir, ("FP32",), box), box)).fastapi


@pytest.mark.parametrize(
    "body",
    [
        SAMPLE,
        {**SAMPLE, "answers": [ANSWER]},
        ANSWER,
        [ANSWER],
        [[ANSWER], [ANSWER, ANSWER]],
        {"predictions": [SAMPLE]},
    ],
)
def test_every_form_of_an_answer_is_described(one_model: Starlette, body: object) -> None:
    check(of_invocations(200, body), [description(one_model)])


@pytest.mark.parametrize(
    "body",
    [
        {},
        "a",
        {**ANSWER, "score": 1.5},
        {**ANSWER, "more": 1},
        {**ANSWER, "start": None},
        [{}],
        [[[ANSWER]]],
        {"predictions": [ANSWER]},
        {**SAMPLE, "answers": None},
    ],
)
def test_other_bodies_are_not_described(one_model: Starlette, body: object) -> None:
    with pytest.raises(AssertionError, match="schema"):
        check(of_invocations(200, body), [description(one_model)])


def test_other_statuses_and_missing_headers_are_not_described(one_model: Starlette) -> None:
    error = {"error_type": "overloaded", "error": "wait", "request_id": "1"}
    known = [description(one_model)]
    check(of_invocations(429, error, **{"retry-after": "3"}), known)
    with pytest.raises(AssertionError, match="Retry-After"):
        check(of_invocations(429, error), known)
    with pytest.raises(AssertionError, match="schema"):
        check(of_invocations(429, error, **{"retry-after": "0"}), known)
    with pytest.raises(AssertionError, match="statuses"):
        check(of_invocations(418, error), known)
    with pytest.raises(AssertionError, match="media type"):
        check(of_invocations(400, error, **{"content-type": "text/plain"}), known)
