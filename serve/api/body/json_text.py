"""Read the JSON of a request, and say in our own words why it cannot be read."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from typing import Any

import orjson

from serve.errors import InvalidRequest, MalformedBody

EXAMPLE = '{"question": "...", "context": "..."}; send a list of items as {"inputs": [...]}'
ADVICE_BYTES = 2**16  # at the head of a body that is not JSON, which say what it may be instead
# The first bytes of what is sent by mistake. The mark of UTF-32 begins with that of UTF-16, so it comes first.
OTHER_FORMATS = {
    BOM_UTF32_LE: "UTF-32; send it in UTF-8",
    BOM_UTF32_BE: "UTF-32; send it in UTF-8",
    BOM_UTF16_LE: "UTF-16; send it in UTF-8",
    BOM_UTF16_BE: "UTF-16; send it in UTF-8",
    b"\x1f\x8b": "compressed with gzip; send it uncompressed",
}
NOT_A_NUMBER = re.compile(r"-?(NaN|Infinity|inf)", re.IGNORECASE)
REASONS = {  # by words in orjson's messages: https://github.com/ijl/orjson#deserialize
    "surrogate": "a string has half of a surrogate pair, such as \\ud83d without the \\ude00 that belongs to it",
    "infinity": "a number is too large",
    "depth": "lists and objects are nested too deeply",
    "recursion": "lists and objects are nested too deeply",
    "byte order mark": "a byte order mark may stand only once, at the head",
    "trailing comma": "a comma stands before a closing bracket",
    "unexpected end": "it ends too early",
    "after document": "something follows after its end",
}


def read_object(data: bytes | bytearray, example: str = EXAMPLE) -> dict[str, Any]:
    """Return the JSON object in the bytes. example: what is right, for the message about JSON that is no object.

    Raises: MalformedBody, InvalidRequest.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(_reason(data, error)) from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"a request must be a JSON object, such as {example}")
    return value


def _reason(data: bytes | bytearray, error: orjson.JSONDecodeError) -> str:
    for mark, name in OTHER_FORMATS.items():
        if data.startswith(mark):
            return f"the request is {name}"
    if not data.strip():
        return "the request is empty; send one JSON object"
    try:
        text = data.decode()
    except UnicodeDecodeError as wrong:
        return f"the request is not UTF-8 at byte {wrong.start}; send it in UTF-8"
    if "\0" in text[:4]:
        return "the request is UTF-16 or UTF-32; send it in UTF-8"
    message = str(error).lower()
    known = next((reason for word, reason in REASONS.items() if word in message), None)
    if known is None and NOT_A_NUMBER.match(text, error.pos):
        known = "NaN and Infinity are not JSON"
    place = f"line {error.lineno}, column {error.colno}"
    return f"the request is not JSON ({place}){f': {known}' if known else ''}; {_advice(data)}"


def _advice(data: bytes | bytearray) -> str:
    head = data[:ADVICE_BYTES].removeprefix(BOM_UTF8).strip()
    first_line, _, rest = head.partition(b"\n")
    if rest and first_line.startswith(b"{") and first_line.rstrip().endswith(b"}"):
        return "if each line is a JSON object, send Content-Type: application/jsonlines"
    return "send one JSON object, or as application/jsonlines one complete JSON object in each line"
