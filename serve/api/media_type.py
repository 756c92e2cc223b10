"""Determine the media type of a request, and check that the client accepts it in the response.

The headers are parsed by the grammar of RFC 9110, sections 5.6.6 (parameters) and 12.5.1 (Accept), with patterns that
read each character once. Python's email package, whose parser is the usual choice, needs quadratic time.
"""

import functools
import re
from collections.abc import Iterator

from starlette.datastructures import Headers

from serve.errors import NotAcceptable, UnsupportedMediaType

HEADER_CHARACTERS = 1024  # the longest media type header that is parsed; those of real clients have up to 300
HEADERS_KEPT = 64  # clients send few different headers, and parsing one takes 0.01 ms
JSON = "application/json"
JSON_LINES = "application/jsonlines"
# SageMaker's documentation says application/jsonlines; clients also use the other names for the same format.
JSON_LINES_NAMES = (JSON_LINES, "application/x-jsonlines", "application/jsonl", "application/x-ndjson")
UTF_8_NAMES = ("utf-8", "utf8", "us-ascii")

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_NAME = re.compile(rf"[ \t]*+({_TOKEN}(?:/{_TOKEN})?)")
_PARAMETER = re.compile(rf"[ \t]*+;[ \t]*+(?:({_TOKEN})=({_TOKEN}|{_QUOTED}))?")
_END = re.compile(r"[ \t]*+$")
# One of the choices in Accept, which commas separate. A quotation without an end lasts to the end of the header.
_CHOICE = re.compile(r'(?:"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[^,"])++')
_WEIGHT = re.compile(r"[01]?\.?[0-9]*")


def field_of(headers: Headers, name: str) -> str | None:
    """Return the value of a header field, or None. A field that stands several times is the list of its values.

    RFC 9110, section 5.3. Content-Type is no list, so a request with two of them has no valid one.
    """
    values = headers.getlist(name)
    return ", ".join(values) if values else None


@functools.lru_cache(maxsize=HEADERS_KEPT)
def request_media_type(content_type: str | None, content_encoding: str | None) -> str:
    """Return the media type of a request's body: JSON or JSON_LINES.

    Raises: UnsupportedMediaType.
    """
    if len(content_type or "") > HEADER_CHARACTERS or len(content_encoding or "") > HEADER_CHARACTERS:
        raise UnsupportedMediaType(
            f"Content-Type and Content-Encoding can have {HEADER_CHARACTERS} characters at most; send {JSON}"
        )
    if content_encoding and content_encoding.strip().lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding is not supported; send the body without any encoding")
    parsed = _parse(content_type or JSON)
    if parsed is None:
        raise UnsupportedMediaType(f"Content-Type is not one media type; send {JSON} or {JSON_LINES}")
    name, parameters = parsed
    if parameters.get("charset", "utf-8").lower() not in UTF_8_NAMES:
        raise UnsupportedMediaType("the charset in Content-Type is not supported; send the body in UTF-8")
    if name == JSON:
        return JSON
    if name in JSON_LINES_NAMES:
        return JSON_LINES
    raise UnsupportedMediaType(f"this Content-Type is not supported; send {JSON} or {JSON_LINES}")


@functools.lru_cache(maxsize=HEADERS_KEPT)
def check_accept(accept: str | None, media_type: str) -> None:
    """Check that the Accept header allows the response media type. Choices that are not well formed do not count.

    Raises: NotAcceptable.
    """
    if len(accept or "") > HEADER_CHARACTERS:
        raise NotAcceptable(f"the Accept header is longer than {HEADER_CHARACTERS} characters; send Accept: */*")
    names = JSON_LINES_NAMES if media_type == JSON_LINES else (JSON,)
    weights: dict[str, float] = {}  # by media range
    for media_range, weight in _choices(accept or "*/*"):
        if media_range in names:
            media_range = media_type
        weights[media_range] = max(weights.get(media_range, 0.0), weight)
    # RFC 9110, section 12.5.1: the most specific media range decides.
    ranges = (media_type, "application/*", "*/*")
    if next((weights[media_range] for media_range in ranges if media_range in weights), 0.0) <= 0:
        raise NotAcceptable(f"the Accept header does not allow {media_type}, the response media type; send Accept: */*")


def _choices(accept: str) -> Iterator[tuple[str, float]]:
    """Yield each well-formed choice of an Accept header: the media range and its weight."""
    for choice in _CHOICE.findall(accept):
        if parsed := _parse(choice):
            media_range, parameters = parsed
            weight = parameters.get("q", "1")
            if _WEIGHT.fullmatch(weight) and any(map(str.isdigit, weight)):
                # Java's URLConnection sends `*` for `*/*`.
                yield ("*/*" if media_range == "*" else media_range), float(weight)


def _parse(header: str) -> tuple[str, dict[str, str]] | None:
    """Return the media type, and the parameters by name, both in lower case; None if the text is not well formed."""
    name = _NAME.match(header)
    if name is None:
        return None
    parameters: dict[str, str] = {}
    end = name.end()
    while parameter := _PARAMETER.match(header, end):
        end = parameter.end()
        if parameter[1] and parameter[1].lower() not in parameters:
            parameters[parameter[1].lower()] = _unquote(parameter[2])
    return (name[1].lower(), parameters) if _END.match(header, end) else None


def _unquote(value: str) -> str:
    """Return the value of a parameter without quotes and the backslashes that quote single characters."""
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
