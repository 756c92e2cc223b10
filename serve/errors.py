"""Everything that can go wrong with one request. Situations, not statuses: serve/invocation.py maps them.

RequestError
 |  the caller's
 x MalformedBody          the body is not JSON, or not UTF-8
 x UnsupportedMediaType   the body is of another media type
 x NotAcceptable          the caller wants a media type that we do not write
 x PayloadTooLarge        the body is larger than the limit
 x ModelNotLoaded         a multi-model endpoint has no model of that name
 x ModelNotFound          it was told to load one from where nothing is
 x ModelAlreadyLoaded     it has that one already
 x ModelUnusable          that one is damaged, or not for this machine
 x InvalidRequest         the JSON says something that cannot be answered
   x DocumentTooLong      even an idle server could not finish in time
   x PrecisionUnavailable the precision that was asked for is not loaded
 |  ours
 x Overloaded             the wait would be too long: try again later
 x DeadlineExceeded       the answer was not there in time
 x NotReady               still loading, or stopping
 x NotEnoughMemory        another model does not fit beside those that are loaded
 x LoadFailed             a model's processes ended while it was loaded
 x InferenceFailed        the model raised, crashed its lane twice, or gave a number that is none
"""


class RequestError(Exception):
    """One request cannot be answered; the message goes to the caller and holds none of the request's texts."""


class MalformedBody(RequestError):
    """The body is not JSON, or not UTF-8."""


class UnsupportedMediaType(RequestError):
    """The body is of a media type, charset or encoding that we do not read."""


class NotAcceptable(RequestError):
    """The Accept header admits nothing that we write."""


class PayloadTooLarge(RequestError):
    """The body is larger than the limit."""


class ModelNotLoaded(RequestError):
    """No model of that name is loaded."""


class ModelNotFound(RequestError):
    """There is nothing at the place that a model shall be loaded from."""


class ModelAlreadyLoaded(RequestError):
    """A model of that name is loaded."""


class ModelUnusable(RequestError):
    """The model that shall be loaded is damaged, or cannot run here."""


class InvalidRequest(RequestError):
    """The JSON is well formed but says something that cannot be answered."""


class DocumentTooLong(InvalidRequest):
    """Its windows would not finish within the time limit even on an idle server."""


class PrecisionUnavailable(InvalidRequest):
    """The precision that was asked for is not loaded."""


class Overloaded(RequestError):
    """Work that is waiting already would delay this request for too long."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class DeadlineExceeded(RequestError):
    """The time limit passed before the answer was there."""


class NotReady(RequestError):
    """The server is loading, warming or stopping."""


class NotEnoughMemory(RequestError):
    """A model does not fit beside those that are loaded: unload one first."""


class LoadFailed(RequestError):
    """A model's processes ended, or met an error that nobody foresaw, while it was loaded."""


class InferenceFailed(RequestError):
    """The model raised, crashed its lane twice on the same window, or gave a number that is none."""
