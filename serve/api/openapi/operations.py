"""What each operation takes and returns, for the OpenAPI description. The tests compare every response with it."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from serve import errors
from serve.api import custom_attributes, model_schemas, schemas
from serve.api.body import answers, highlights
from serve.api.error_response import ERROR_STATUS, INTERNAL, INTERNAL_STATUS, error_type
from serve.api.media_type import JSON, JSON_LINES
from serve.errors import RequestError

Responses = dict[int | str, dict[str, Any]]  # by status, as FastAPI expects them

REQUESTS = (
    schemas.SampleRequest,
    schemas.SamplePassagesRequest,
    schemas.HuggingFaceRequest,
    schemas.HuggingFacePassagesRequest,
    schemas.HuggingFaceListRequest,
    schemas.InstancesRequest,
)
ANSWERS = (
    answers.SampleAnswer,
    answers.AnswerBody,
    answers.AnswerList,
    answers.Predictions,
    highlights.Highlights,
    highlights.SampleHighlights,
)
SCHEMA_PREFIX = "#/components/schemas/"
EXAMPLE = {
    "question": "Which name is also used to describe the Amazon rainforest in English?",
    "context": "The Amazon rainforest, also known in English as Amazonia, covers most of the Amazon basin.",
}
RETRY_AFTER = {
    "description": "after how many seconds to try again",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
WWW_AUTHENTICATE = {"description": "how to send an API key", "required": True, "schema": {"type": "string"}}
# Headers that every answer to questions, and every error, has.
HEADERS = {
    "X-Request-Id": {"description": "the request id", "required": True, "schema": {"type": "string"}},
    custom_attributes.HEADER.title(): {
        "description": "the custom attributes of the request, and the request id",
        "required": True,
        "schema": {"type": "string", "maxLength": custom_attributes.MAX_CHARACTERS},
    },
}


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Return a reference to the schema of a model."""
    return {"$ref": f"{SCHEMA_PREFIX}{model.__name__}"}


def returns(description: str, model: type[BaseModel]) -> Responses:
    """Describe an operation that returns JSON with status 200."""
    return {200: {"description": description, "content": {JSON: {"schema": reference(model)}}}}


def fails(*kinds: type[RequestError]) -> Responses:
    """Describe the errors of an operation: these, and an internal error, which no operation can rule out."""
    names: dict[int, list[str]] = {INTERNAL_STATUS: [INTERNAL]}
    for kind in kinds:
        names.setdefault(ERROR_STATUS[kind], []).append(error_type(kind.__new__(kind)))
    content = {JSON: {"schema": reference(schemas.ErrorBody)}}
    described: Responses = {}
    for status in sorted(names):
        headers: Mapping[str, Any] = HEADERS
        if status == ERROR_STATUS[errors.Overloaded]:
            headers = {**HEADERS, "Retry-After": RETRY_AFTER}
        if status == ERROR_STATUS[errors.NotAuthenticated]:
            headers = {**HEADERS, "WWW-Authenticate": WWW_AUTHENTICATE}
        described[status] = {"description": ", ".join(sorted(names[status])), "headers": headers, "content": content}
    return described


ANSWERING_BODY = {
    "required": True,
    "content": {
        JSON: {"schema": {"anyOf": [reference(model) for model in REQUESTS]}, "example": EXAMPLE},
        JSON_LINES: {"schema": {"type": "string", "description": "one of the JSON objects on each line"}},
    },
}
ANSWERING_RESPONSES: Responses = {
    200: {
        "description": "the answer, in the form of the request",
        "headers": HEADERS,
        "content": {
            JSON: {"schema": {"anyOf": [reference(model) for model in ANSWERS]}},
            JSON_LINES: {"schema": {"type": "string", "description": "an answer or an error for each line"}},
        },
    },
    **fails(
        errors.MalformedRequest,
        errors.MalformedBody,
        errors.NotAcceptable,
        errors.RequestTimeout,
        errors.PayloadTooLarge,
        errors.UriTooLong,
        errors.UnsupportedMediaType,
        errors.InvalidRequest,
        errors.DocumentTooLong,
        errors.PrecisionUnavailable,
        errors.Overloaded,
        errors.RequestHeaderFieldsTooLarge,
        errors.InferenceFailed,
        errors.NotReady,
        errors.DeadlineExceeded,
    ),
}
LOAD_BODY = {"requestBody": {"required": True, "content": {JSON: {"schema": reference(model_schemas.LoadRequest)}}}}
LOAD_RESPONSES: Responses = {
    200: {"description": "the model can answer"},
    **fails(
        errors.MalformedRequest,
        errors.MalformedBody,
        errors.ModelUnusable,
        errors.ModelNotFound,
        errors.ModelAlreadyLoaded,
        errors.RequestTimeout,
        errors.PayloadTooLarge,
        errors.UnsupportedMediaType,
        errors.InvalidRequest,
        errors.Overloaded,
        errors.LoadFailed,
        errors.NotReady,
        errors.NotEnoughMemory,
    ),
}
MODELS_RESPONSES = {**returns("one page of the loaded models, sorted by name", model_schemas.ModelPage), **fails()}
MODEL_RESPONSES = {**returns("the model", model_schemas.ModelEntry), **fails(errors.ModelNotLoaded)}
UNLOAD_RESPONSES: Responses = {200: {"description": "the model is unloaded"}, **fails(errors.ModelNotLoaded)}
PING_RESPONSES: Responses = {
    200: {"description": "the server can answer now"},
    503: {"description": "the server is loading or stopping, or none of its lanes is alive"},
    **fails(),
}
INFO_RESPONSES: Responses = {
    200: {
        "description": "state, version and models",
        "content": {JSON: {"schema": {"type": "object", "required": ["state", "version"]}}},
    },
    **fails(),
}
METRICS_RESPONSES: Responses = {
    200: {
        "description": "the metrics",
        "content": {
            media_type: {"schema": {"type": "string"}} for media_type in ("text/plain", "application/openmetrics-text")
        },
    },
    **fails(),
}
PAGE_RESPONSES: Responses = {
    200: {"description": "the page", "content": {"text/html": {"schema": {"type": "string"}}}},
    304: {"description": "the client has this page already"},
    **fails(),
}
EXECUTION_PARAMETERS_RESPONSES = {**returns("the limits", schemas.ExecutionParameters), **fails()}
