"""Turn errors into responses: the status of each error, and the JSON body that all errors share."""

import bisect

import orjson
from starlette.responses import Response

from container import contract
from serve import errors
from serve.api.media_type import JSON
from serve.errors import MethodNotAllowed, NotAuthenticated, Overloaded, RequestError

ERROR_STATUS: dict[type[RequestError], int] = {
    errors.MalformedRequest: 400,
    errors.MalformedBody: 400,
    errors.ModelUnusable: 400,
    errors.NotAuthenticated: 401,
    errors.NotFound: 404,
    errors.ModelNotLoaded: 404,
    errors.ModelNotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.RequestTimeout: 408,
    errors.ModelAlreadyLoaded: 409,
    errors.PayloadTooLarge: 413,
    errors.UriTooLong: 414,
    errors.UnsupportedMediaType: 415,
    errors.InvalidRequest: 422,
    errors.DocumentTooLong: 422,
    errors.PrecisionUnavailable: 422,
    errors.Overloaded: 429,
    errors.RequestHeaderFieldsTooLarge: 431,
    errors.InferenceFailed: 500,
    errors.LoadFailed: 500,
    errors.NotReady: 503,
    errors.DeadlineExceeded: 504,
    errors.NotEnoughMemory: 507,
}
INTERNAL = "internal"  # the error_type of every exception that is not a RequestError
INTERNAL_STATUS = 500
INTERNAL_MESSAGE = "an unexpected error occurred on the server; report it with its request_id"


def error_type(error: Exception) -> str:
    """Return the name of an error in response bodies: `document_too_long` for DocumentTooLong."""
    if not isinstance(error, RequestError):
        return INTERNAL
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in type(error).__name__).lstrip("_")


def error_body(error: Exception, request_id: str) -> dict[str, str]:
    """Return the body of an error, which as JSON has at most contract.ERROR_BODY_BYTES.

    Only the message of a RequestError is shown to the client.
    """
    message = str(error) if isinstance(error, RequestError) else INTERNAL_MESSAGE
    body = {"error_type": error_type(error), "error": "", "request_id": request_id}
    return {**body, "error": _shortened(message, contract.ERROR_BODY_BYTES - len(orjson.dumps(body)))}


def log_text(error: Exception) -> str:
    """Return the text of an error in the log: its type, and the message of a RequestError as the client gets it."""
    name = error_type(error)
    return f"{name}: {_shortened(str(error), contract.ERROR_BODY_BYTES)}" if isinstance(error, RequestError) else name


def refusal_of(error: Exception) -> str | None:
    """Return why the server refused a request although the client did nothing wrong, or None if it did not."""
    return error.refusal if isinstance(error, RequestError) else None


def error_response(error: Exception, request_id: str) -> Response:
    """Return an error as a response, with the status from ERROR_STATUS."""
    status = ERROR_STATUS[type(error)] if isinstance(error, RequestError) else INTERNAL_STATUS
    headers = {"x-request-id": request_id}
    if isinstance(error, Overloaded):
        headers["retry-after"] = str(error.retry_after_seconds)
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = ", ".join(sorted(error.allowed))
    if isinstance(error, NotAuthenticated):
        headers["www-authenticate"] = error.challenge
    return Response(orjson.dumps(error_body(error, request_id)), status, media_type=JSON, headers=headers)


def _shortened(message: str, limit_bytes: int) -> str:
    """Return as much of a message as fits into this many bytes of JSON, in which a character has up to 6 bytes."""
    message = message[:limit_bytes].encode(errors="replace").decode()  # JSON cannot express lone surrogates
    if _json_bytes(message) <= limit_bytes:
        return message
    lengths = range(1, len(message) + 1)
    return message[: bisect.bisect_right(lengths, limit_bytes, key=lambda length: _json_bytes(message[:length]))]


def _json_bytes(text: str) -> int:
    return len(orjson.dumps(text)) - 2  # without the quotes
