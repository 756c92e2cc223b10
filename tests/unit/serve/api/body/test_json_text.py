"""Bodies that are not the JSON object that a request must be."""

import json

import pytest

from serve.api.body.items import Limits
from serve.api.body.parse import parse, parse_as
from serve.api.model_schemas import LoadRequest
from serve.errors import InvalidRequest, MalformedBody, PayloadTooLarge
from tests.unit.serve.api.body.requests import ITEM, LIMITS


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{'question': 1}",
        b'{"question": "a",}',
        b"NaN",
        b'{"question": "Who?", "context": "\xff"}',
        b'{"question": "Who?", "context": "\\ud800"}',
        b'{"question": "Who?", "context": "\xed\xa0\x80"}',
        b'{"question": "Who?", "context": "a"} x',
        b"[" * 100_000,
    ],
    ids=lambda data: repr(data[:45]),
)
def test_a_body_that_is_not_json_in_utf_8_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedBody, match="the request is (not JSON|not UTF-8|empty)"):
        parse(data, LIMITS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the request is empty"),
        (b" \n", "the request is empty"),
        (b'{"a": NaN}', "NaN and Infinity are not JSON"),
        (b'{"a": -Infinity}', "NaN and Infinity are not JSON"),
        (b'{"a": 1E400}', "a number is too large"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b"[" * 2_000, "nested too deeply"),
        (b'{"a": 1,}', "a comma stands before a closing bracket"),
        (b'{"a"', "it ends too early"),
        (b"\xef\xbb\xbf{}", "a byte order mark may stand only once, at the head"),
        (b'{"a": "Z\xf6"}', "not UTF-8 at byte 8"),
        ('{"a": "Zoë"}'.encode("utf-16"), "UTF-16; send it in UTF-8"),
        ('{"a": "Zoë"}'.encode("utf-32"), "UTF-32; send it in UTF-8"),
        ('{"a": "Zoe"}'.encode("utf-16-le"), "UTF-16 or UTF-32; send it in UTF-8"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip"),
        (b'{\n  "a": x}', "line 2, column 8"),
    ],
)
def test_the_message_says_why_a_body_is_not_json(data: bytes, message: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        parse(data, LIMITS)
    assert message in str(caught.value)


@pytest.mark.parametrize("data", [b"[]", b'["a"]', b"null", b"5", b'"text"', b"true"])
def test_json_that_is_not_an_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        parse(data, LIMITS)
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        parse_as(LoadRequest, data, "{}")


def test_a_body_in_another_format_is_refused_with_the_right_media_type() -> None:
    with pytest.raises(MalformedBody, match="send Content-Type: application/jsonlines"):
        parse(json.dumps(ITEM).encode() + b"\n" + json.dumps(ITEM).encode() + b"\n", LIMITS)
    with pytest.raises(InvalidRequest, match='send a list of items as {"inputs":'):
        parse(json.dumps([ITEM]).encode(), LIMITS)


def test_values_are_counted_outside_strings_only() -> None:
    limits = Limits(max_items=1, max_characters=10_000)
    assert parse(json.dumps({"question": "a", "context": 'int f() {"\\"}, [' * 100}).encode(), limits)
    with pytest.raises(PayloadTooLarge, match="more than 16 JSON values"):
        parse(b'{"instances":[' + b"{}," * 100 + b"{}]}", limits)
