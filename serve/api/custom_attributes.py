"""SageMaker's custom attributes: besides Content-Type, the only header that reaches the caller of an endpoint."""

HEADER = "x-amzn-sagemaker-custom-attributes"
MAX_CHARACTERS = 1024  # InvokeEndpoint's reference: the longest value, of visible US-ASCII characters


def with_request_id(given: str | None, request_id: str) -> str:
    """Return the attributes of the response: those of the request, and `request_id=ID` if it fits behind them."""
    if not given or len(given) > MAX_CHARACTERS or not (given.isascii() and given.isprintable()):
        given = ""
    complete = f"{given};request_id={request_id}" if given else f"request_id={request_id}"
    return complete if len(complete) <= MAX_CHARACTERS else given
