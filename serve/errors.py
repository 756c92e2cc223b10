"""Everything that can go wrong with one request. The classes name situations, not HTTP statuses.

serve/api/error_response.py maps each class to its status.

RequestError
 |  the client's side
 x MalformedRequest       the request is not valid HTTP/1.1
 x UriTooLong             the URL is longer than the limit
 x RequestHeaderFieldsTooLarge  the headers are larger than the limit
 x RequestTimeout         the head or the body of the request arrived too slowly
 x NotAuthenticated       the request has none of the API keys that the server accepts
 x NotFound               the server has no route with this path
 x MethodNotAllowed       the route has no such method
 x MalformedBody          the body is not JSON, or not UTF-8
 x UnsupportedMediaType   the body has another media type
 x NotAcceptable          the client accepts no media type that the server writes
 x PayloadTooLarge        the body is larger than the limit
 x ModelNotLoaded         a multi-model endpoint has no model of that name
 x ModelNotFound          the directory of a model that is to be loaded does not exist
 x ModelAlreadyLoaded     a model of that name is loaded already
 x ModelUnusable          the model that is to be loaded is damaged, or cannot run on this machine
 x InvalidRequest         the JSON asks for something that cannot be answered
   x DocumentTooLong      even an idle server could not finish in time
   x PrecisionUnavailable the precision that was asked for is not loaded
 |  the server's side
 x Overloaded             the wait would be too long; the client should try again later
 x DeadlineExceeded       the answer was not ready in time
 x NotReady               the server is loading or stopping
 x NotEnoughMemory        another model does not fit beside the loaded ones
 x LoadFailed             a model's processes ended while it was loaded
 x InferenceFailed        the model raised an error, crashed its lane twice, or returned NaN or infinity
"""


class RequestError(Exception):
    """One request cannot be answered. The message goes to the client and contains none of the request's texts.

    refusal: if the server refuses the request and not because of the client, the reason in bertqa_refusals_total.
    """

    refusal: str | None = None


class MalformedRequest(RequestError):
    """The request is not valid HTTP/1.1."""


class UriTooLong(RequestError):
    """The URL is longer than the limit."""


class RequestHeaderFieldsTooLarge(RequestError):
    """The headers are larger than the limit, or there are too many of them."""


class RequestTimeout(RequestError):
    """The head or the body of the request arrived too slowly."""


class NotAuthenticated(RequestError):
    """The request has none of the API keys that the server accepts. `challenge` says how to send one."""

    def __init__(self, message: str, challenge: str) -> None:
        super().__init__(message)
        self.challenge = challenge


class NotFound(RequestError):
    """The server has no route with this path."""


class MethodNotAllowed(RequestError):
    """The route has no such method. `allowed` are those that it has."""

    def __init__(self, message: str, allowed: frozenset[str]) -> None:
        super().__init__(message)
        self.allowed = allowed


class MalformedBody(RequestError):
    """The body is not JSON, or not UTF-8."""


class UnsupportedMediaType(RequestError):
    """The body has a media type, charset or encoding that the server does not read."""


class NotAcceptable(RequestError):
    """The Accept header allows no media type that the server writes."""


class PayloadTooLarge(RequestError):
    """The body is larger than the limit."""


class ModelNotLoaded(RequestError):
    """No model of that name is loaded."""


class ModelNotFound(RequestError):
    """The directory of a model that is to be loaded does not exist."""


class ModelAlreadyLoaded(RequestError):
    """A model of that name is loaded already."""


class ModelUnusable(RequestError):
    """The model that is to be loaded is damaged, or cannot run on this machine."""


class InvalidRequest(RequestError):
    """The JSON is well formed but asks for something that cannot be answered."""


class DocumentTooLong(InvalidRequest):
    """The windows of the text would not finish within the time limit even on an idle server."""


class PrecisionUnavailable(InvalidRequest):
    """The precision that was asked for is not loaded."""


class Overloaded(RequestError):
    """Other requests would delay this one for too long, or they hold what it needs: `reason` names it."""

    def __init__(self, message: str, retry_after_seconds: int, reason: str) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.refusal = reason


class DeadlineExceeded(RequestError):
    """The time limit passed before the answer was ready."""


class NotReady(RequestError):
    """The server is loading, warming or stopping."""

    refusal = "not_ready"


class NotEnoughMemory(RequestError):
    """A model does not fit beside the loaded ones; unload one of them first."""

    refusal = "memory"


class LoadFailed(RequestError):
    """A model's processes ended while it was loaded, or an unexpected error occurred."""


class InferenceFailed(RequestError):
    """The model raised an error, crashed its lane twice on the same window, or returned NaN or infinity."""
