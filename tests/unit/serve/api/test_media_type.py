"""Media types: which Content-Type and Accept headers are accepted, and which are refused."""

import pytest

from serve.api.media_type import JSON, JSON_LINES, check_accept, request_media_type
from serve.errors import NotAcceptable, UnsupportedMediaType


@pytest.mark.parametrize(
    ("content_type", "media"),
    [
        (None, JSON),
        ("", JSON),
        ("application/json", JSON),
        ("Application/JSON", JSON),
        (" application/json ", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/json;charset=UTF8", JSON),
        ('application/json; charset="utf-8"', JSON),
        ("application/json; charset=us-ascii", JSON),
        ("application/json; profile=x", JSON),
        ("application/json; charset=utf-8; profile=x", JSON),
        ("application/json; charset=utf-8;", JSON),
        ("application/jsonlines", JSON_LINES),
        ("application/x-jsonlines", JSON_LINES),
        ("application/jsonl", JSON_LINES),
        ("application/x-ndjson; charset=utf-8", JSON_LINES),
    ],
)
def test_names_of_json_and_json_lines_are_recognized(content_type: str | None, media: str) -> None:
    assert request_media_type(content_type, None) == media


@pytest.mark.parametrize(
    "content_type",
    [
        "text/csv",
        "text/plain",
        "application/jsonx",
        "json",
        "application/json, text/csv",
        "application/json; charset=latin-1",
        'application/json; charset="utf-16"',
        "application/json; profile=x; charset=latin-1",
    ],
)
def test_other_media_types_and_charsets_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        request_media_type(content_type, None)


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
def test_a_body_without_content_encoding_is_accepted(encoding: str | None) -> None:
    assert request_media_type("application/json", encoding) == JSON


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_a_body_with_content_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="Content-Encoding"):
        request_media_type("application/json", encoding)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/*", JSON),
        ("application/json; charset=utf-8", JSON),
        ("text/html, application/json;q=0.5", JSON),
        ("text/html;q=0, */*;q=0.1", JSON),
        (None, JSON_LINES),
        ("*/*", JSON_LINES),
        ("application/jsonlines", JSON_LINES),
        ("application/x-ndjson", JSON_LINES),
    ],
)
def test_an_accept_header_that_allows_the_response_passes(accept: str | None, media: str) -> None:
    check_accept(accept, media)
    with pytest.raises(NotAcceptable):
        check_accept("text/csv", media)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("text/csv", JSON),
        ("text/*, image/png", JSON),
        ("application/jsonlines", JSON),
        ("application/json", JSON_LINES),
        ("application/json;q=0", JSON),
        ("application/json; q=0.0", JSON),
        ("application/json;q=0.000", JSON),  # up to three digits: RFC 9110, 12.4.2
        ("application/json; Q=0", JSON),
        ("application/json; charset=utf-8; q=0", JSON),
        ("*/*;q=0", JSON),
        ("application/json;q=0, */*", JSON),  # the more specific range counts: RFC 9110, 12.5.1
    ],
)
def test_an_accept_header_that_does_not_allow_the_response_is_refused(accept: str, media: str) -> None:
    with pytest.raises(NotAcceptable, match=media):
        check_accept(accept, media)
