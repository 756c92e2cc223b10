"""JSON Lines as a stream: lines whole whatever the chunks, order, and bounded memory on the real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from serve.api.json_lines.answers import LINES_IN_FLIGHT, SpooledAnswers
from serve.api.json_lines.lines import LINE_BYTES, Blank, split


def lines_of(body: bytes, chunk_bytes: int) -> list[bytes | None]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk_bytes):
            yield body[start : start + chunk_bytes]

    async def collect() -> list[bytes | None]:
        lines: list[bytes | None] = []
        async for line in split(chunks()):
            lines += [b""] * line.count if isinstance(line, Blank) else [line]
        return lines

    return asyncio.run(collect())


def test_answers_are_streamed_in_the_order_of_the_lines() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"first\nsecond\nthird"

    async def answer(line: bytes | None) -> bytes:
        await asyncio.sleep(0.01 if line == b"first" else 0)
        return line or b""

    async def run() -> bytes:
        answers = SpooledAnswers(answer, limit_mb=100)
        await answers.read(body())
        await answers.finish()
        size_bytes = answers.size_bytes
        streamed = b"".join([piece async for piece in answers.stream()])
        assert len(streamed) == size_bytes
        return streamed

    assert asyncio.run(run()) == b"first\nsecond\nthird\n"


@pytest.mark.parametrize(("line_bytes", "most"), [(10, LINES_IN_FLIGHT), (2**20, 5), (5 * 2**20, 2)])
def test_the_body_waits_while_enough_lines_are_in_flight(line_bytes: int, most: int) -> None:
    in_flight = peak = 0

    async def body() -> AsyncIterator[bytes]:
        for _ in range(2 * LINES_IN_FLIGHT):
            yield b"x" * line_bytes + b"\n"
            await asyncio.sleep(0)  # the line starts

    async def answer(_: bytes | None) -> bytes:
        nonlocal in_flight, peak
        in_flight += 1
        peak = max(peak, in_flight)
        await asyncio.sleep(0.001)
        in_flight -= 1
        return b""

    async def run() -> None:
        answers = SpooledAnswers(answer, limit_mb=100)
        await answers.read(body())
        await answers.finish()
        answers.cancel()

    asyncio.run(run())
    assert 1 < peak <= most


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 100])
@pytest.mark.parametrize("body", [b"", b"a", b"a\n", b"a\n\nbc\r\nd", b"\n", b"\n\n"])
def test_the_size_of_the_pieces_does_not_change_the_lines(body: bytes, chunk_bytes: int) -> None:
    assert lines_of(body, chunk_bytes) == (body.removesuffix(b"\n").split(b"\n") if body else [])


def test_a_line_that_is_too_long_is_marked_and_does_not_affect_the_others() -> None:
    body = b"a\n" + b"x" * (LINE_BYTES + 1) + b"\nb\n" + b"y" * (LINE_BYTES + 1)
    assert lines_of(body, 2**20) == [b"a", None, b"b", None]
