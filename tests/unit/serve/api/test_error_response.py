"""Errors as responses: the table of statuses, and the body that all errors share."""

import json

import pytest

from container import contract
from serve.api.error_response import (
    ERROR_STATUS,
    INTERNAL_MESSAGE,
    error_response,
    error_type,
    log_text,
)
from serve.errors import DocumentTooLong, MethodNotAllowed, Overloaded, RequestError


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
    assert (
        error_response(Overloaded("wait", retry_after_seconds=7, reason="queue"), "abc").headers["retry-after"] == "7"
    )


def test_a_wrong_method_gets_the_methods_that_the_route_has() -> None:
    error = MethodNotAllowed("no", frozenset({"POST", "GET"}))
    assert error_response(error, "abc").headers["allow"] == "GET, POST"


@pytest.mark.parametrize("text", ["é", '"', "a", "🚢", "\x01", "\x7f", "\\", "\n"])
def test_a_long_message_is_cut_between_characters_so_that_the_body_fits(text: str) -> None:
    body = error_response(DocumentTooLong(text * 5000), "x" * 64).body
    assert contract.ERROR_BODY_BYTES - 6 <= len(body) <= contract.ERROR_BODY_BYTES
    assert set(json.loads(body)["error"]) == {text}


def test_a_request_id_of_any_characters_leaves_room_for_the_message() -> None:
    response = error_response(DocumentTooLong("\x01" * 5000), '"' * 64)
    assert len(response.body) <= contract.ERROR_BODY_BYTES
    assert json.loads(response.body)["request_id"] == '"' * 64


def test_a_surrogate_in_a_message_is_replaced() -> None:
    assert json.loads(error_response(DocumentTooLong("a\udcffb"), "abc").body)["error"] == "a?b"


def test_the_text_in_the_log_is_bounded_too() -> None:
    assert log_text(DocumentTooLong("long")) == "document_too_long: long"
    assert log_text(ValueError("secret")) == "internal"
    assert len(log_text(DocumentTooLong("\x01" * 1_000_000))) < 1000
