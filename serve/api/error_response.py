"""Turn errors into responses: the status of each error, and the JSON body that all errors share."""

import uuid

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from container import contract
from serve import errors
from serve.api.media_type import JSON
from serve.errors import Overloaded, RequestError

ERROR_STATUS: dict[type[RequestError], int] = {
    errors.MalformedBody: 400,
    errors.ModelUnusable: 400,
    errors.ModelNotLoaded: 404,
    errors.ModelNotFound: 404,
    errors.NotAcceptable: 406,
    errors.ModelAlreadyLoaded: 409,
    errors.PayloadTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.InvalidRequest: 422,
    errors.DocumentTooLong: 422,
    errors.PrecisionUnavailable: 422,
    errors.Overloaded: 429,
    errors.InferenceFailed: 500,
    errors.LoadFailed: 500,
    errors.NotReady: 503,
    errors.DeadlineExceeded: 504,
    errors.NotEnoughMemory: 507,
}
INTERNAL = "internal"  # the error_type of every exception that is not a RequestError
INTERNAL_STATUS = 500
INTERNAL_MESSAGE = "an unexpected error occurred on the server; report it with its request_id"
# Escapes in JSON can double the length of a message, and the other fields need room too.
MESSAGE_BYTES = contract.ERROR_BODY_BYTES * 2 // 5


def error_type(error: Exception) -> str:
    """Return the name of an error in response bodies: `document_too_long` for DocumentTooLong."""
    if not isinstance(error, RequestError):
        return INTERNAL
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in type(error).__name__).lstrip("_")


def error_body(error: Exception, request_id: str) -> dict[str, str]:
    """Return the body of an error. Only the message of a RequestError is shown to the client."""
    message = str(error) if isinstance(error, RequestError) else INTERNAL_MESSAGE
    return _body(error_type(error), message, request_id)


def error_response(error: Exception, request_id: str) -> Response:
    """Return an error as a response, with the status from ERROR_STATUS."""
    status = ERROR_STATUS[type(error)] if isinstance(error, RequestError) else INTERNAL_STATUS
    response = _response(status, error_body(error, request_id))
    if isinstance(error, Overloaded):
        response.headers["retry-after"] = str(error.retry_after_seconds)
    return response


async def handle_request_error(_: Request, error: Exception) -> Response:
    """Handle a RequestError that a route raised; the application registers this function."""
    return error_response(error, uuid.uuid4().hex)


async def handle_http_error(_: Request, error: Exception) -> Response:
    """Handle the errors of starlette's router (404 and 405); the application registers this function."""
    assert isinstance(error, HTTPException)
    name = error.detail.lower().replace(" ", "_")
    message = f"{error.detail}: GET /docs lists the routes of this server and their methods"
    return _response(error.status_code, _body(name, message, uuid.uuid4().hex))


def _body(error_type: str, message: str, request_id: str) -> dict[str, str]:
    """Return the body that all errors share, at most contract.ERROR_BODY_BYTES long."""
    shortened = message.encode()[:MESSAGE_BYTES].decode(errors="ignore")
    return {"error_type": error_type, "error": shortened, "request_id": request_id}


def _response(status: int, body: dict[str, str]) -> Response:
    headers = {"x-request-id": body["request_id"]}
    return Response(orjson.dumps(body), status, media_type=JSON, headers=headers)
