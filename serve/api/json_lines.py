"""JSON Lines of any length in bounded memory: lines are answered while the body still comes, in order, into a spool.

The spool is sent once the body is read: some clients send all before they read. See docs/batch-and-multi-model.md.
"""

import asyncio
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import IO

LINES_IN_FLIGHT = 32  # of one request: enough to keep all lanes at work, few enough to wait in turn
BYTES_IN_FLIGHT = 4 * 2**20  # of their text, beyond the oldest line's
LINE_BYTES = 8 * 2**20  # one longer is not kept, and gets an error object
SPOOL_BYTES = 2**20  # more answers than this go to a file in the temporary directory
READ_BYTES = 2**16


async def split(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes | None]:
    """Cut a body into its lines, without their ends; None stands for one longer than LINE_BYTES."""
    rest = bytearray()
    is_too_long = False
    async for chunk in chunks:
        *ended, last = chunk.split(b"\n")
        for piece in ended:
            is_too_long = is_too_long or len(rest) + len(piece) > LINE_BYTES
            yield None if is_too_long else bytes(rest + piece)
            rest.clear()
            is_too_long = False
        is_too_long = is_too_long or len(rest) + len(last) > LINE_BYTES
        if is_too_long:
            rest.clear()
        else:
            rest += last
    if rest or is_too_long:
        yield None if is_too_long else bytes(rest)


class Answering:
    """The lines of one request on their way; answers go to the spool in the lines' order."""

    def __init__(self, answer: Callable[[bytes | None], Awaitable[bytes]]) -> None:
        self.spool: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115  (spooled() closes it)
        self._answer = answer
        self._flying: deque[tuple[asyncio.Future[bytes], int]] = deque()
        self._bytes = 0

    async def read(self, chunks: AsyncIterator[bytes]) -> None:
        """Start on each line as it comes; the body waits while enough are in flight."""
        async for line in split(chunks):
            size = len(line or b"")
            self._flying.append((asyncio.ensure_future(self._answer(line)), size))
            self._bytes += size
            while len(self._flying) >= LINES_IN_FLIGHT or (len(self._flying) > 1 and self._bytes > BYTES_IN_FLIGHT):
                await self._oldest()

    async def finish(self) -> None:
        """Wait for the lines that are still in flight."""
        while self._flying:
            await self._oldest()

    async def _oldest(self) -> None:
        future, size = self._flying[0]
        self.spool.write(await future + b"\n")
        self._flying.popleft()
        self._bytes -= size

    def give_up(self) -> None:
        """Drop what is in flight, and the answers."""
        for future, _ in self._flying:
            future.cancel()
        self.spool.close()


async def spooled(spool: IO[bytes]) -> AsyncIterator[bytes]:
    """The answers in pieces; the spool is gone afterwards."""
    with spool:
        spool.seek(0)
        while piece := spool.read(READ_BYTES):
            yield piece
