"""JSON Lines as a stream: lines whole whatever the chunks, order, and bounded memory on the real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from serve.api import json_lines


def lines_of(body: bytes, chunk_bytes: int) -> list[bytes | None]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk_bytes):
            yield body[start : start + chunk_bytes]

    async def collect() -> list[bytes | None]:
        return [line async for line in json_lines.split(chunks())]

    return asyncio.run(collect())


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 100])
@pytest.mark.parametrize("body", [b"", b"a", b"a\n", b"a\n\nbc\r\nd", b"\n", b"\n\n"])
def test_the_size_of_the_pieces_does_not_change_the_lines(body: bytes, chunk_bytes: int) -> None:
    assert lines_of(body, chunk_bytes) == (body.removesuffix(b"\n").split(b"\n") if body else [])


def test_a_line_that_is_too_long_is_marked_and_does_not_affect_the_others() -> None:
    body = b"a\n" + b"x" * (json_lines.LINE_BYTES + 1) + b"\nb\n" + b"y" * (json_lines.LINE_BYTES + 1)
    assert lines_of(body, 2**20) == [b"a", None, b"b", None]
