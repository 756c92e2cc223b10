"""The head of a request: its request line and its header fields."""

import urllib.parse

import httptools
from uvicorn._types import HTTPScope

from serve.errors import MalformedRequest, RequestError, RequestHeaderFieldsTooLarge, UriTooLong
from serve.http.limits import Limits

VERSIONS = ("1.1", "1.0")
LENGTH_DIGITS = 19  # the parser's largest number, 2**64, has 20

Fields = list[tuple[bytes, bytes]]

# What the parser's messages mean for the client, by words in them: https://github.com/nodejs/llhttp
HINTS = {
    "Invalid method": "the method is not known; methods are in upper case, and this port speaks no TLS and no HTTP/2",
    "Expected HTTP/": "the URL contains a space, or something else than HTTP/1.1 follows it; write a space as %20",
    "Expected CRLF": "a line does not end with carriage return and line feed",
    "Pause on PRI": "this port speaks no HTTP/2; send HTTP/1.1",
    "chunk size": "a chunk does not begin with its size in hexadecimal digits",
    "present with": "a request has either Content-Length or Transfer-Encoding",
    "Duplicate Content-Length": "Content-Length may stand only once",
    "in Content-Length": "Content-Length must be a number",
    "header token": "the name of a header contains a character that it must not have, such as a space",
    "header value": "the value of a header contains a control character",
}


def not_valid(parser_message: str) -> MalformedRequest:
    """Return the error of a request that the parser refuses."""
    hint = next((hint for words, hint in HINTS.items() if words in parser_message), parser_message)
    return MalformedRequest(f"the request is not valid HTTP/1.1: {hint}")


def size(url: bytes, fields: Fields) -> int:
    """Return the size of a head in bytes, without the method and the version."""
    return len(url) + sum(len(name) + len(value) + len(b": \r\n") for name, value in fields)


def too_large(url: bytes, limits: Limits) -> RequestError:
    """Return the error of a head that is too large: its URL or its fields are to blame."""
    if len(url) > limits.head_bytes // 2:
        return UriTooLong(f"the URL is too long; URL and headers may have {limits.head_bytes} bytes together")
    return RequestHeaderFieldsTooLarge(
        f"the headers are too large; a request may have {limits.header_fields} header fields, and {limits.head_bytes} "
        "bytes in its URL and headers together"
    )


def content_length(value: bytes) -> int:
    """Return the number in a Content-Length, which the parser has found to be digits.

    Raises: MalformedRequest.
    """
    digits = value.strip().lstrip(b"0")  # Python refuses to convert thousands of digits
    if len(digits) > LENGTH_DIGITS:
        raise MalformedRequest("the Content-Length is too large a number")
    return int(digits or b"0")


def add_path(scope: HTTPScope, url: bytes) -> None:
    """Add path and query of the URL to an ASGI scope.

    Raises: MalformedRequest.
    """
    try:
        parsed = httptools.parse_url(url)
        path = parsed.path.decode("ascii")
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError, AttributeError):
        raise MalformedRequest("the request line has no valid path") from None
    scope["path"] = urllib.parse.unquote(path) if "%" in path else path
    scope["raw_path"] = parsed.path
    scope["query_string"] = parsed.query or b""


def without_upgrade(method: bytes, url: bytes, version: str, fields: Fields) -> bytes:
    """Return the bytes of a head without its field Upgrade."""
    kept = [b"%s: %s" % field for field in fields if field[0] != b"upgrade"]
    return b"\r\n".join([b"%s %s HTTP/%s" % (method, url, version.encode()), *kept, b"", b""])
