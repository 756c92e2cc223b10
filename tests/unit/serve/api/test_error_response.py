"""Errors as responses: the table of statuses, and the body that all errors share."""

import asyncio
import json

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from container import contract
from serve.api.error_response import (
    ERROR_STATUS,
    INTERNAL_MESSAGE,
    error_response,
    error_type,
    handle_http_error,
    handle_request_error,
)
from serve.errors import DocumentTooLong, ModelNotLoaded, Overloaded, RequestError

REQUEST = Request({"type": "http", "method": "GET", "headers": []})


def subclasses(cls: type[RequestError]) -> set[type[RequestError]]:
    return {below for child in cls.__subclasses__() for below in {child, *subclasses(child)}}


def test_every_request_error_has_a_status() -> None:
    assert set(ERROR_STATUS) == subclasses(RequestError)


def test_the_error_type_is_the_name_of_the_class_in_snake_case() -> None:
    assert error_type(DocumentTooLong("long")) == "document_too_long"
    assert error_type(ValueError("bug")) == "internal"


def test_a_request_error_becomes_a_response_with_its_message() -> None:
    response = error_response(DocumentTooLong("context: is too long"), "abc")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"] == "abc"
    assert json.loads(response.body) == {
        "error_type": "document_too_long",
        "error": "context: is too long",
        "request_id": "abc",
    }


def test_the_message_of_an_unexpected_error_is_not_shown() -> None:
    response = error_response(ValueError("secret"), "abc")
    assert response.status_code == 500
    assert json.loads(response.body) == {"error_type": "internal", "error": INTERNAL_MESSAGE, "request_id": "abc"}


def test_a_refusal_for_overload_says_when_to_try_again() -> None:
    assert error_response(Overloaded("wait", retry_after_seconds=7), "abc").headers["retry-after"] == "7"


@pytest.mark.parametrize("text", ["é", '"', "a", "🚢"])
def test_a_long_message_is_cut_between_characters_so_that_the_body_fits(text: str) -> None:
    body = error_response(DocumentTooLong(text * 5000), "x" * 64).body
    assert len(body) <= contract.ERROR_BODY_BYTES
    assert set(json.loads(body)["error"]) == {text}


def test_an_error_that_a_route_raises_becomes_a_response() -> None:
    response = asyncio.run(handle_request_error(REQUEST, ModelNotLoaded("no such model")))
    assert response.status_code == 404
    assert json.loads(response.body)["error_type"] == "model_not_loaded"


@pytest.mark.parametrize(("status", "name"), [(404, "not_found"), (405, "method_not_allowed")])
def test_an_error_of_the_router_becomes_a_response_that_names_the_documentation(status: int, name: str) -> None:
    response = asyncio.run(handle_http_error(REQUEST, HTTPException(status)))
    body = json.loads(response.body)
    assert (response.status_code, body["error_type"]) == (status, name)
    assert "/docs" in body["error"]
    assert body["request_id"] == response.headers["x-request-id"]
