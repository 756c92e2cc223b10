"""SageMaker's custom attributes: the one header, besides the content type, that comes back to an endpoint's caller."""

HEADER = "x-amzn-sagemaker-custom-attributes"
MAX_CHARACTERS = 1024  # of visible US-ASCII: InvokeEndpoint's reference


def answered(given: str | None, request_id: str) -> str:
    """What the caller gave, with `;request_id=ID` where there is room for it."""
    if not given or len(given) > MAX_CHARACTERS or not (given.isascii() and given.isprintable()):
        given = ""
    complete = f"{given};request_id={request_id}" if given else f"request_id={request_id}"
    return complete if len(complete) <= MAX_CHARACTERS else given
