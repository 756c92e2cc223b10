"""Answer JSON Lines of any length in bounded memory.

The lines are answered while the body is still arriving. The answers are written to a spool, in the order of the lines,
and the spool is sent when the whole body has been read: some clients read nothing before they have sent everything.
See docs/batch-and-multi-model.md.
"""

import asyncio
import logging
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import IO

import orjson

from serve.api.error_response import error_body, error_type
from serve.api.json_lines.lines import LINE_BYTES, Blank, split
from serve.api.object_answerer import ObjectAnswerer
from serve.errors import InvalidRequest, PayloadTooLarge, RequestError
from serve.text_process.client import LARGE_BODY_BYTES

log = logging.getLogger("request")

LINES_IN_FLIGHT = 32  # of one request: enough to keep all lanes busy, and few enough to share the lanes fairly
LARGE_LINES_IN_FLIGHT = 4  # each of them has a text process of its own
BYTES_IN_FLIGHT = 4 * 2**20  # of the lines in flight; the oldest line may be larger
SPOOL_BYTES = 2**20  # a larger spool is moved to a file in the temporary directory
READ_BYTES = 2**16
GIVE_WAY_SECONDS = 0.005  # after this time, splitting lets the event loop do something else


@dataclass(frozen=True)
class LineAnswerer:
    """Answers the lines of one request."""

    objects: ObjectAnswerer
    request_id: str
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_LINES_IN_FLIGHT))

    async def answer(self, line: bytes | None) -> bytes:
        """Return the answer to one line. An error becomes an error object, so it does not affect the other lines.

        line: None stands for a line that is longer than LINE_BYTES.
        """
        try:
            if line is None:
                raise InvalidRequest(f"the line is longer than {LINE_BYTES // 2**20} MiB; split it into several lines")
            is_large, body = len(line) > LARGE_BODY_BYTES, [line]
            del line  # a large body is dropped while it is worked on
            if is_large:
                async with self.places:
                    answer = await self.objects.answer(body)
            else:
                answer = await self.objects.answer(body)
            return answer
        except Exception as error:
            if not isinstance(error, RequestError):
                log.exception("a line of request %s failed with an unexpected error", self.request_id)
            self.objects.trace.failed_lines += 1
            self.objects.lifecycle.metrics.failed_lines.labels(error_type(error)).inc()
            return orjson.dumps(error_body(error, self.request_id))


@dataclass
class _InFlight:
    """A line that is being answered, its size in bytes, and the number of blank lines after it."""

    answer: asyncio.Future[bytes]
    size: int
    blank_lines: int = 0


class SpooledAnswers:
    """The answers to the lines of one request, in the order of the lines."""

    def __init__(self, answer: Callable[[bytes | None], Awaitable[bytes]], limit_mb: int) -> None:
        """limit_mb: the largest size of all answers, in MiB."""
        self._answer = answer
        self._limit_mb = limit_mb
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115  (stream and cancel close it)
        self._in_flight: deque[_InFlight] = deque()
        self._bytes_in_flight = 0

    @property
    def size_bytes(self) -> int:
        """The size of all answers, once `finish` has returned."""
        return self._spool.tell()

    async def read(self, body: AsyncIterator[bytes]) -> None:
        """Start to answer each line when it arrives; stop reading the body while enough lines are in flight.

        Raises: PayloadTooLarge if the answers become larger than the limit.
        """
        since = time.perf_counter()
        async for line in split(body):
            if isinstance(line, Blank):
                self._answer_blank(line)
            else:
                self._begin(line)
            while self._is_full():
                await self._write_oldest()
            if time.perf_counter() - since > GIVE_WAY_SECONDS:
                await asyncio.sleep(0)
                since = time.perf_counter()

    async def finish(self) -> None:
        """Wait for the lines that are still in flight."""
        while self._in_flight:
            await self._write_oldest()

    def cancel(self) -> None:
        """Cancel the lines in flight, and delete the answers."""
        for line in self._in_flight:
            line.answer.cancel()
        self._spool.close()

    async def stream(self) -> AsyncIterator[bytes]:
        """Read the answers in pieces, then delete them."""
        with self._spool as spool:
            spool.seek(0)
            while piece := spool.read(READ_BYTES):
                yield piece

    def _begin(self, line: bytes | None) -> None:
        size = len(line or b"")
        self._in_flight.append(_InFlight(asyncio.ensure_future(self._answer(line)), size))
        self._bytes_in_flight += size

    def _answer_blank(self, lines: Blank) -> None:
        """A blank line gets a blank line, so that input and output can be joined line by line."""
        if self._in_flight:
            self._in_flight[-1].blank_lines += lines.count
        else:
            self._write(b"\n" * lines.count)

    def _is_full(self) -> bool:
        lines = len(self._in_flight)
        return lines >= LINES_IN_FLIGHT or (lines > 1 and self._bytes_in_flight > BYTES_IN_FLIGHT)

    async def _write_oldest(self) -> None:
        line = self._in_flight[0]
        answer = await line.answer
        self._in_flight.popleft()
        self._bytes_in_flight -= line.size
        self._write(answer + b"\n" * (1 + line.blank_lines))

    def _write(self, answers: bytes) -> None:
        if self._spool.tell() + len(answers) > self._limit_mb * 2**20:
            raise PayloadTooLarge(
                f"the answers take more than {self._limit_mb} MiB; split the request, or raise MAX_SPOOL_MB"
            )
        self._spool.write(answers)
