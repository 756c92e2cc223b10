"""Answer JSON Lines of any length in bounded memory.

The lines are answered while the body is still arriving. The answers are written to a spool, in the order of the lines,
and the spool is sent when the whole body has been read: some clients read nothing before they have sent everything.
See docs/batch-and-multi-model.md.
"""

import asyncio
import logging
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import IO

import orjson

from serve.api import request_body
from serve.api.error_response import error_body
from serve.errors import InvalidRequest, RequestError
from serve.lanes.admission import Permit
from serve.qa.engine import QAEngine, Trace

log = logging.getLogger("request")

LINES_IN_FLIGHT = 32  # of one request: enough to keep all lanes busy, and few enough to share the lanes fairly
BYTES_IN_FLIGHT = 4 * 2**20  # of the lines in flight; the oldest line may be larger
LINE_BYTES = 8 * 2**20  # a longer line is not kept, and is answered with an error object
SPOOL_BYTES = 2**20  # a larger spool is moved to a file in the temporary directory
READ_BYTES = 2**16


@dataclass(frozen=True)
class LineAnswerer:
    """Answers the lines of one request."""

    engine: QAEngine
    permit: Permit
    trace: Trace
    request_id: str

    async def answer(self, line: bytes | None) -> bytes:
        """Return the answer to one line. An error becomes an error object, so it does not affect the other lines.

        line: None stands for a line that is longer than LINE_BYTES.
        """
        try:
            if line is None:
                raise InvalidRequest(f"the line is longer than {LINE_BYTES // 2**20} MiB; split it into several lines")
            parsed = request_body.parse(line)
            answered = await self.engine.answer(parsed.questions, self.permit, self.trace)
            return orjson.dumps(parsed.response_body(answered))
        except Exception as error:
            if not isinstance(error, RequestError):
                log.exception("a line of request %s failed with an unexpected error", self.request_id)
            return orjson.dumps(error_body(error, self.request_id))


class SpooledAnswers:
    """The answers to the lines of one request, in the order of the lines."""

    def __init__(self, answer: Callable[[bytes | None], Awaitable[bytes]]) -> None:
        self._answer = answer
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115  (stream and cancel close it)
        self._in_flight: deque[tuple[asyncio.Future[bytes], int]] = deque()  # with the size of the line in bytes
        self._bytes_in_flight = 0

    @property
    def size_bytes(self) -> int:
        """The size of all answers, once `finish` has returned."""
        return self._spool.tell()

    async def read(self, body: AsyncIterator[bytes]) -> None:
        """Start to answer each line when it arrives; stop reading the body while enough lines are in flight."""
        async for line in split(body):
            size = len(line or b"")
            self._in_flight.append((asyncio.ensure_future(self._answer(line)), size))
            self._bytes_in_flight += size
            while self._is_full():
                await self._write_oldest()

    async def finish(self) -> None:
        """Wait for the lines that are still in flight."""
        while self._in_flight:
            await self._write_oldest()

    def cancel(self) -> None:
        """Cancel the lines in flight, and delete the answers."""
        for future, _ in self._in_flight:
            future.cancel()
        self._spool.close()

    async def stream(self) -> AsyncIterator[bytes]:
        """Read the answers in pieces, then delete them."""
        with self._spool as spool:
            spool.seek(0)
            while piece := spool.read(READ_BYTES):
                yield piece

    def _is_full(self) -> bool:
        lines = len(self._in_flight)
        return lines >= LINES_IN_FLIGHT or (lines > 1 and self._bytes_in_flight > BYTES_IN_FLIGHT)

    async def _write_oldest(self) -> None:
        future, size = self._in_flight[0]
        self._spool.write(await future + b"\n")
        self._in_flight.popleft()
        self._bytes_in_flight -= size


async def split(body: AsyncIterator[bytes]) -> AsyncIterator[bytes | None]:
    """Split a body into its lines, without the line ends. None stands for a line that is longer than LINE_BYTES."""
    begun = bytearray()  # the line whose end has not arrived yet
    is_too_long = False
    async for piece in body:
        *ends, rest = piece.split(b"\n")
        for end in ends:
            is_too_long = is_too_long or len(begun) + len(end) > LINE_BYTES
            yield None if is_too_long else bytes(begun + end)
            begun.clear()
            is_too_long = False
        is_too_long = is_too_long or len(begun) + len(rest) > LINE_BYTES
        if is_too_long:
            begun.clear()
        else:
            begun += rest
    if begun or is_too_long:
        yield None if is_too_long else bytes(begun)
