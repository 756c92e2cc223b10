"""Determine the media type of a request, and check that the client accepts it in the response."""

import functools
from email.message import Message

from serve.errors import NotAcceptable, UnsupportedMediaType

HEADERS_KEPT = 64  # clients send few different headers, and parsing one takes 0.1 ms
JSON = "application/json"
JSON_LINES = "application/jsonlines"
# SageMaker's documentation says application/jsonlines; clients also use the other names for the same format.
JSON_LINES_NAMES = (JSON_LINES, "application/x-jsonlines", "application/jsonl", "application/x-ndjson")


@functools.lru_cache(maxsize=HEADERS_KEPT)
def request_media_type(content_type: str | None, content_encoding: str | None) -> str:
    """Return the media type of a request's body: JSON or JSON_LINES.

    Raises: UnsupportedMediaType.
    """
    if content_encoding and content_encoding.strip().lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding is not supported; send the body without any encoding")
    header = Message()
    header["Content-Type"] = content_type or JSON
    if header.get_content_charset("utf-8") not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("the charset in Content-Type is not supported; send the body in UTF-8")
    name = header.get_content_type()
    if name == JSON:
        return JSON
    if name in JSON_LINES_NAMES:
        return JSON_LINES
    raise UnsupportedMediaType(f"this Content-Type is not supported; send {JSON} or {JSON_LINES}")


@functools.lru_cache(maxsize=HEADERS_KEPT)
def check_accept(accept: str | None, media_type: str) -> None:
    """Check that the Accept header allows the response media type.

    Raises: NotAcceptable.
    """
    names = JSON_LINES_NAMES if media_type == JSON_LINES else (JSON,)
    weights: dict[str, float] = {}  # by media range
    for choice in (accept or "*/*").split(","):
        header = Message()
        header["Accept"] = choice.strip()
        media_range = choice.partition(";")[0].strip().lower()
        if media_range in names:
            media_range = media_type
        weight = _weight(header.get_param("q", "1", "Accept"))
        weights[media_range] = max(weights.get(media_range, 0.0), weight)
    # RFC 9110, section 12.5.1: the most specific media range decides.
    ranges = (media_type, "application/*", "*/*")
    if next((weights[media_range] for media_range in ranges if media_range in weights), 0.0) <= 0:
        raise NotAcceptable(f"the Accept header does not allow {media_type}, the response media type; send Accept: */*")


def _weight(text: object) -> float:
    """Return the weight of a media range, the number after `q=`; 1 where it is not a number."""
    try:
        return float(str(text))
    except ValueError:
        return 1.0
