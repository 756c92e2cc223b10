"""What the parser's errors mean for a client, with the errors of the real parser."""

import httptools
import pytest

from serve.http import head

POST = b"POST / HTTP/1.1\r\n"


def refusal(data: bytes) -> str:
    class Callbacks:
        """The parser wants an object, of which it calls what is there."""

    with pytest.raises(httptools.HttpParserError) as caught:
        httptools.HttpRequestParser(Callbacks()).feed_data(data)
    return str(head.not_valid(str(caught.value)))


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"get /ping HTTP/1.1\r\n\r\n", "methods are in upper case"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", "this port speaks no TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "this port speaks no HTTP/2"),
        (b"GET /a b HTTP/1.1\r\n\r\n", "write a space as %20"),
        (b"GET /ping HTTP/1.1\nHost: a\n\n", "carriage return and line feed"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "its size in hexadecimal digits"),
        (
            POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            "either Content-Length or Transfer-Encoding",
        ),
        (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", "may stand only once"),
        (POST + b"Content-Length: x\r\n\r\n", "must be a number"),
        (POST + b"A b: c\r\n\r\n", "the name of a header"),
        (POST + b"A: \x00\r\n\r\n", "the value of a header"),
    ],
)
def test_the_message_says_what_to_correct(data: bytes, hint: str) -> None:
    assert hint in refusal(data)


def test_a_message_of_the_parser_that_is_not_known_is_passed_on() -> None:
    assert str(head.not_valid("Something new")) == "the request is not valid HTTP/1.1: Something new"
