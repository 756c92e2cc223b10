"""Media types: which Content-Type and Accept headers are accepted, and which are refused."""

import contextlib
import time

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
        ("application/json;;;charset=utf-8 ; ", JSON),
        ('application/json; charset="u\\tf-8"', JSON),
        ('application/json; profile="a;charset=latin-1"', JSON),
        ("application/json; charset*=latin-1''x", JSON),  # a parameter of another name: RFC 9110 has no RFC 2231
        (f"application/json; charset*{'1' * 900}=x", JSON),
        (f"application/json{';' * 1000}", JSON),
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
        "application/json; charset",
        "application/json; charset=",
        "application/json; charset = utf-8",
        'application/json; charset="utf-8',
        'application/json; charset="utf-8"x',
        "application/json;charset=latin-1;charset=utf-8",
        "/json",
        ";",
        " ",
        f"application/json{';' * 1009}",
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


@pytest.mark.parametrize("encoding", [" " * 1025, "gzip", "br", "identity, gzip"])
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
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", JSON),  # Java's URLConnection
        (",, application/json,", JSON),
        ('text/html;x="a,b\\",c", application/json', JSON),
        ('text/html;x="a, */*;q=0", application/json', JSON),
        ("application/json;q=1.", JSON),
        (f"application/json;q*{'1' * 900}=1", JSON),
        ("application/json;q=high, */*", JSON),
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
        ("application/json;q=nan", JSON),
        ("application/json;q=-1", JSON),
        ("application/json;q=1e5", JSON),
        ("application/json;q=.", JSON),
        ("application/json;q", JSON),
        ("application/json application/json", JSON),
        ('text/html;x="a, application/json', JSON),  # the quotation has no end
        (",", JSON),
        ("application/json;q=0, */*", JSON),  # the more specific range counts: RFC 9110, 12.5.1
    ],
)
def test_an_accept_header_that_does_not_allow_the_response_is_refused(accept: str, media: str) -> None:
    with pytest.raises(NotAcceptable, match=media):
        check_accept(accept, media)


def test_an_accept_header_of_more_than_a_kilobyte_is_refused() -> None:
    check_accept("application/json" + ";" * 1008, JSON)
    with pytest.raises(NotAcceptable, match="1024 characters"):
        check_accept("application/json" + ";" * 1009, JSON)


@pytest.mark.parametrize(
    "header",
    ["a/b" + ";" * 1021, "a/b" + " ;" * 510, " " * 1024, "," * 1024, '"' * 1024, 'a/b;x="' + '\\"' * 508, "a/b," * 256],
)
def test_no_header_takes_longer_than_some_milliseconds(header: str) -> None:
    begin = time.process_time()
    for _ in range(10):
        with contextlib.suppress(UnsupportedMediaType):
            request_media_type.__wrapped__(header, None)
        with contextlib.suppress(NotAcceptable):
            check_accept.__wrapped__(header, JSON)
    assert (time.process_time() - begin) / 10 < 0.01
