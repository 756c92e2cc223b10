"""The OpenAPI description of an application, which /openapi.json and /docs show."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import Route

from container.validation.routes import HEALTH_ROUTES
from serve import errors
from serve.api import model_schemas, schemas
from serve.api.error_response import ERROR_STATUS
from serve.api.openapi.operations import (
    ANSWERING_BODY,
    ANSWERING_RESPONSES,
    ANSWERS,
    PAGE_RESPONSES,
    REQUESTS,
    SCHEMA_PREFIX,
    fails,
)

API_KEY = "api_key"
STATUS_OF_FASTAPI = "422"  # FastAPI adds its own form of this error to each operation with a parameter
TEXTS_OF_FASTAPI = ("HTTPValidationError", "ValidationError")
SCHEMAS: tuple[type[BaseModel], ...] = (
    model_schemas.LoadRequest,
    model_schemas.ModelEntry,
    model_schemas.ModelPage,
    model_schemas.ModelNames,
    model_schemas.ReadyModel,
    schemas.ExecutionParameters,
    schemas.ErrorBody,
)


def describe(app: FastAPI, without_key: frozenset[str] | None, *, has_admin_port: bool = False) -> None:
    """Complete the description of an application, after its last route has been added.

    FastAPI describes its own routes. This function adds starlette's routes, which answer questions or show the page,
    and the schemas that all routes refer to.

    without_key: the paths that need no API key; None if none needs one. has_admin_port: each route but the health
    checks is on one of two ports.
    """
    description = app.openapi()
    for route in app.routes:
        if type(route) is Route and route.include_in_schema:
            methods = (route.methods or set()) - {"HEAD"}
            operation = _page_operation() if "GET" in methods else _answering_operation(route)
            described = description["paths"].setdefault(route.path_format, {})
            described.update({method.lower(): operation for method in methods})
    if without_key is not None:
        _require_keys(description, without_key)
    if has_admin_port:
        _describe_other_port(description)
    _remove_errors_of_fastapi(description)
    models: list[type[BaseModel]] = [*REQUESTS, *ANSWERS, *SCHEMAS]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=f"{SCHEMA_PREFIX}{{model}}"
    )
    description.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])


def _require_keys(description: dict[str, Any], without_key: frozenset[str]) -> None:
    """Describe the API key, and the error of a request that has none."""
    scheme = {"type": "http", "scheme": "bearer", "description": "one of the keys in API_KEY_FILE"}
    description.setdefault("components", {})["securitySchemes"] = {API_KEY: scheme}
    status = ERROR_STATUS[errors.NotAuthenticated]
    refusal = {str(status): fails(errors.NotAuthenticated)[status]}
    for path, operations in description["paths"].items():
        if path not in without_key:
            for operation in operations.values():
                operation["security"] = [{API_KEY: []}]
                operation["responses"] = {**operation["responses"], **refusal}


def _describe_other_port(description: dict[str, Any]) -> None:
    """Describe the error of a request that comes to the port without its route."""
    status = ERROR_STATUS[errors.NotFound]
    for path, operations in description["paths"].items():
        for operation in operations.values() if path not in HEALTH_ROUTES else ():
            error = fails(errors.NotFound)[status]
            if present := operation["responses"].get(str(status)):
                error["description"] += f", {present['description']}"
            operation["responses"] = {**operation["responses"], str(status): error}


def _remove_errors_of_fastapi(description: dict[str, Any]) -> None:
    """Remove the 422 that FastAPI describes but that never occurs: every text is a valid parameter of our routes."""
    for operations in description["paths"].values():
        for operation in operations.values():
            error = operation["responses"].get(STATUS_OF_FASTAPI, {})
            if any(name in str(error) for name in TEXTS_OF_FASTAPI):
                del operation["responses"][STATUS_OF_FASTAPI]
    for name in TEXTS_OF_FASTAPI:
        description.get("components", {}).get("schemas", {}).pop(name, None)


def _page_operation() -> dict[str, Any]:
    return {
        "tags": ["page"],
        "summary": "Page",
        "description": "Show a page on which people ask questions about a text.",
        "operationId": "page",
        "responses": {str(status): response for status, response in sorted(PAGE_RESPONSES.items())},
    }


def _answering_operation(route: Route) -> dict[str, Any]:
    """Describe a route that answers questions; a model in its path may not be loaded."""
    not_loaded = fails(errors.ModelNotLoaded) if route.param_convertors else {}
    responses = {**not_loaded, **ANSWERING_RESPONSES}
    return {
        "tags": ["answers"],
        "summary": route.name.capitalize(),
        "description": route.endpoint.__doc__,
        "operationId": route.name,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{part.regex}$"}}
            for name, part in route.param_convertors.items()
        ],
        "requestBody": ANSWERING_BODY,
        "responses": {str(status): response for status, response in sorted(responses.items())},
    }
