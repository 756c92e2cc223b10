"""How the body of a request is read: its size limit, and the byte order mark at its head."""

import asyncio
from codecs import BOM_UTF8
from collections.abc import Iterator

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from serve.api.body.read import read
from serve.errors import PayloadTooLarge


def body_of(pieces: list[bytes], limit_mb: int | None, content_length: str | None = None) -> bytes:
    """Read a body that arrives in pieces; after the last piece the client disconnects."""
    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": piece, "more_body": piece is not pieces[-1]} for piece in pieces]
    )

    async def receive() -> Message:
        return next(messages, {"type": "http.disconnect"})

    async def collect() -> bytes:
        headers = [(b"content-length", content_length.encode())] if content_length is not None else []
        request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
        return b"".join([piece async for piece in read(request, limit_mb)])

    return asyncio.run(collect())


@pytest.mark.parametrize("limit_mb", [1, 2, None])
@pytest.mark.parametrize("content_length", [None, str(2**20), "unknown"])
def test_a_body_of_exactly_the_limit_is_read(limit_mb: int | None, content_length: str | None) -> None:
    pieces = [b"a" * 2**19, b"", b"b" * 2**19]
    assert body_of(pieces, limit_mb, content_length) == b"".join(pieces)


def test_a_body_that_announces_more_than_the_limit_is_refused_before_it_arrives() -> None:
    with pytest.raises(PayloadTooLarge, match="larger than 1 MiB"):
        body_of([], 1, str(2**20 + 1))


@pytest.mark.parametrize("content_length", [None, "1"])
def test_a_body_that_becomes_larger_than_the_limit_is_refused(content_length: str | None) -> None:
    with pytest.raises(PayloadTooLarge, match="MAX_PAYLOAD_MB"):
        body_of([b"a" * 2**20, b"b"], 1, content_length)


def test_a_client_that_disconnects_within_its_body_is_noticed() -> None:
    with pytest.raises(ClientDisconnect):
        body_of([], 1)


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize(
    ("body", "read"),
    [
        (BOM_UTF8 + b"{}", b"{}"),
        (BOM_UTF8 + BOM_UTF8 + b"{}", BOM_UTF8 + b"{}"),
        (b"{" + BOM_UTF8 + b"}", b"{" + BOM_UTF8 + b"}"),
        (BOM_UTF8, b""),
        (BOM_UTF8[:2], BOM_UTF8[:2]),
        (b"", b""),
    ],
)
def test_a_byte_order_mark_is_skipped_at_the_head_of_the_body_only(body: bytes, read: bytes, size: int) -> None:
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    assert body_of(pieces, 1) == read
