"""What /docs shows: requests, answers and errors of /invocations, from the schemas themselves."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serve.api import schemas
from serve.api.request_body import JSON, JSON_LINES

REQUESTS = (
    schemas.SampleRequest,
    schemas.HuggingFaceRequest,
    schemas.HuggingFaceListRequest,
    schemas.InstancesRequest,
)
ANSWERS = (schemas.SampleAnswer, schemas.AnswerBody, schemas.Predictions)
EXAMPLE = {
    "question": "Which name is also used to describe the Amazon rainforest in English?",
    "context": "The Amazon rainforest, also known in English as Amazonia, covers most of the Amazon basin.",
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"anyOf": [_ref(model.__name__) for model in REQUESTS]}, "example": EXAMPLE},
            JSON_LINES: {"schema": {"type": "string", "description": "one of the JSON objects a line"}},
        },
    }
}
LOAD_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {JSON: {"schema": _ref(schemas.LoadRequest.__name__)}}}
}
_INVOCATION_ERRORS = {
    400: "malformed_body",
    406: "not_acceptable",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "invalid_request, document_too_long, precision_unavailable",
    429: "overloaded; Retry-After says in how many seconds to try again",
    500: "inference_failed, internal",
    503: "not_ready",
    504: "deadline_exceeded",
}
_LOAD_ERRORS = {
    400: "malformed_body, model_unusable",
    404: "model_not_found: the url is no directory",
    409: "model_already_loaded",
    422: "invalid_request",
    500: "load_failed, internal",
    503: "not_ready: stopping",
    507: "not_enough_memory: unload another first",
}


def _errors(kinds: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"description": text, "content": {JSON: {"schema": _ref("ErrorBody")}}}
        for status, text in kinds.items()
    }


RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer, in the form of the request",
        "content": {
            JSON: {"schema": {"anyOf": [_ref(model.__name__) for model in ANSWERS]}},
            JSON_LINES: {"schema": {"type": "string"}},
        },
    },
    **_errors(_INVOCATION_ERRORS),
}
NOT_LOADED = _errors({404: "model_not_loaded"})
LOAD_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The model can answer"},
    **_errors(_LOAD_ERRORS),
}
PING: dict[int | str, dict[str, Any]] = {
    200: {"description": "can answer now"},
    503: {"description": "loading, stopping, or no lane is alive"},
}


def describe(app: FastAPI) -> None:
    """Add the schemas that the routes refer to; the routes read the body themselves, so FastAPI does not know them."""
    generated = app.openapi()
    models: list[type[BaseModel]] = [*REQUESTS, *ANSWERS, schemas.LoadRequest, schemas.ErrorBody]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    generated.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
