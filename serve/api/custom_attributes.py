"""SageMaker's custom attributes: besides Content-Type, the only header that reaches the caller of an endpoint."""

from starlette.datastructures import Headers
from starlette.responses import Response

HEADER = "x-amzn-sagemaker-custom-attributes"
HEADER_BYTES = HEADER.encode()
MAX_CHARACTERS = 1024  # InvokeEndpoint's reference: the longest value, of visible US-ASCII characters


def with_request_id(given: str | None, request_id: str) -> str:
    """Return the attributes of the response: those of the request, and `request_id=ID` if it fits behind them."""
    if not given or len(given) > MAX_CHARACTERS or not (given.isascii() and given.isprintable()):
        given = ""
    complete = f"{given};request_id={request_id}" if given else f"request_id={request_id}"
    return complete if len(complete) <= MAX_CHARACTERS else given


def add_to(response: Response, headers: Headers, request_id: str) -> None:
    """Add the attributes to a response. headers: of the request."""
    response.headers[HEADER] = with_request_id(headers.get(HEADER), request_id)
