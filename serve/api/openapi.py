"""The OpenAPI description of the server, which /openapi.json and /docs show. It is made from the schemas."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import Route

from serve.api import schemas
from serve.api.media_type import JSON, JSON_LINES

Responses = dict[int | str, dict[str, Any]]  # by status, as FastAPI expects them

REQUESTS = (
    schemas.SampleRequest,
    schemas.HuggingFaceRequest,
    schemas.HuggingFaceListRequest,
    schemas.InstancesRequest,
)
ANSWERS = (schemas.SampleAnswer, schemas.AnswerBody, schemas.Predictions)
SCHEMA_PREFIX = "#/components/schemas/"
EXAMPLE = {
    "question": "Which name is also used to describe the Amazon rainforest in English?",
    "context": "The Amazon rainforest, also known in English as Amazonia, covers most of the Amazon basin.",
}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"{SCHEMA_PREFIX}{model.__name__}"}


def _errors(error_types: dict[int, str]) -> Responses:
    content = {JSON: {"schema": _reference(schemas.ErrorBody)}}
    return {status: {"description": text, "content": content} for status, text in error_types.items()}


ANSWERING_BODY = {
    "required": True,
    "content": {
        JSON: {"schema": {"anyOf": [_reference(model) for model in REQUESTS]}, "example": EXAMPLE},
        JSON_LINES: {"schema": {"type": "string", "description": "one of the JSON objects on each line"}},
    },
}
ANSWERING_RESPONSES: Responses = {
    200: {
        "description": "the answer, in the form of the request",
        "content": {
            JSON: {"schema": {"anyOf": [_reference(model) for model in ANSWERS]}},
            JSON_LINES: {"schema": {"type": "string"}},
        },
    },
    **_errors(
        {
            400: "malformed_body",
            406: "not_acceptable",
            413: "payload_too_large",
            415: "unsupported_media_type",
            422: "invalid_request, document_too_long, precision_unavailable",
            429: "overloaded; the header Retry-After says after how many seconds to try again",
            500: "inference_failed, internal",
            503: "not_ready",
            504: "deadline_exceeded",
        }
    ),
}
LOAD_BODY = {"requestBody": {"required": True, "content": {JSON: {"schema": _reference(schemas.LoadRequest)}}}}
LOAD_RESPONSES: Responses = {
    200: {"description": "the model can answer"},
    **_errors(
        {
            400: "malformed_body, model_unusable",
            404: "model_not_found; the url is not a directory",
            409: "model_already_loaded",
            422: "invalid_request",
            500: "load_failed, internal",
            503: "not_ready; the server is stopping",
            507: "not_enough_memory; unload another model first",
        }
    ),
}
NOT_LOADED = _errors({404: "model_not_loaded"})
PING_RESPONSES: Responses = {
    200: {"description": "the server can answer now"},
    503: {"description": "the server is loading or stopping, or none of its lanes is alive"},
}


def describe(app: FastAPI) -> None:
    """Complete the description of an application, after its last route has been added.

    FastAPI describes its own routes. This function adds starlette's routes, which answer questions, and the schemas
    that all routes refer to.
    """
    description = app.openapi()
    for route in app.routes:
        if type(route) is Route and route.include_in_schema:
            operation = _answering_operation(route)
            description["paths"][route.path_format] = {method.lower(): operation for method in route.methods or ()}
    models: list[type[BaseModel]] = [*REQUESTS, *ANSWERS, schemas.LoadRequest, schemas.ErrorBody]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=f"{SCHEMA_PREFIX}{{model}}"
    )
    description.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])


def _answering_operation(route: Route) -> dict[str, Any]:
    """Describe a route that answers questions; a model in its path may not be loaded."""
    responses = {**ANSWERING_RESPONSES, **(NOT_LOADED if route.param_convertors else {})}
    return {
        "tags": ["answers"],
        "summary": route.name.capitalize(),
        "description": route.endpoint.__doc__,
        "operationId": route.name,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in route.param_convertors
        ],
        "requestBody": ANSWERING_BODY,
        "responses": {str(status): response for status, response in responses.items()},
    }
