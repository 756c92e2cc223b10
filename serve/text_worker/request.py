"""The text process of one large request: from the bytes of its body to the bytes of its answer."""

import asyncio
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import numpy as np
import orjson

from container.precision import Precision
from serve.api.body import parse
from serve.api.body.items import Limits
from serve.errors import PrecisionUnavailable, RequestError
from serve.qa.engine import QuestionAnswerer
from serve.qa.features import Window
from serve.qa.request_lanes import GROUPS_IN_FLIGHT, Demand, Trace, Work, batches
from serve.qa.spans import Logits
from serve.text_process import frames
from serve.text_process.frames import HEADER, FrameKind
from serve.text_process.template import TextConfig

Send = Callable[[FrameKind, bytes], None]
Receive = Callable[[FrameKind], bytearray]


class TextRequest:
    """One request, and the socket to the HTTP process that received it."""

    def __init__(self, sock: socket.socket, answerer: QuestionAnswerer, config: TextConfig) -> None:
        self._sock = sock
        self._answerer = answerer
        self._config = config
        self._trace = Trace()

    def serve(self) -> None:
        """Answer the request, or say why it cannot be answered."""
        self._send(FrameKind.STARTED, str(os.getpid()).encode())
        threading.Thread(target=_end_with, args=(self._sock,), daemon=True).start()
        try:
            body = self._answer()
        except RequestError as error:
            failed = {"name": type(error).__name__, "message": str(error), "cpu_seconds": time.process_time()}
            self._send(FrameKind.FAILED, orjson.dumps(failed))
            return
        times = {"stages": self._trace.stages, "began": self._trace.began, "cpu_seconds": time.process_time()}
        self._send(FrameKind.DONE, orjson.dumps(times))
        self._send(FrameKind.ANSWER, body)

    def _answer(self) -> bytes:
        start = time.perf_counter()
        limits = Limits(self._config.max_items, self._config.max_characters, self._config.tasks)
        parsed = parse.parse(
            self._receive(FrameKind.REQUEST), limits, lambda form: self._send(FrameKind.PARSED, form.encode())
        )
        self._trace.took("parse", start)
        lanes = RemoteLanes(self._send, self._receive)
        answered = asyncio.run(self._answerer.answer(parsed.questions, lanes, self._trace))
        return orjson.dumps(parsed.response_body(answered))

    def _send(self, kind: FrameKind, body: bytes) -> None:
        self._sock.sendall(frames.header(kind, len(body)))
        self._sock.sendall(body)

    def _receive(self, expected: FrameKind) -> bytearray:
        length, kind = HEADER.unpack(self._receive_exactly(HEADER.size))
        assert kind == expected, f"got a frame of kind {kind} in the place of {expected}"
        return self._receive_exactly(length)

    def _receive_exactly(self, length: int) -> bytearray:
        body = bytearray(length)
        rest = memoryview(body)
        while rest:
            count = self._sock.recv_into(rest)
            if count == 0:
                raise ConnectionResetError("the HTTP process closed the socket")
            rest = rest[count:]
        return body


class RemoteLanes:
    """The lanes of the HTTP process. A call blocks: nothing else happens in a text process."""

    def __init__(self, send: Send, receive: Receive) -> None:
        self._send = send
        self._receive = receive
        self._resolved: dict[Precision | None, Precision] = {}
        self._max_tokens: dict[tuple[Precision, int], int] = {}

    async def resolve(self, wanted: Precision | None) -> Precision:
        """Return the precision to use, once requests may use it. Raises: PrecisionUnavailable."""
        if wanted not in self._resolved:
            self._send(FrameKind.RESOLVE, orjson.dumps(wanted))
            found = orjson.loads(self._receive(FrameKind.RESOLVED))
            if "unavailable" in found:
                raise PrecisionUnavailable(found["unavailable"])
            self._resolved[wanted] = found["precision"]
        return self._resolved[wanted]

    async def max_tokens(self, precision: Precision, max_seq_len: int) -> int:
        """Return a number of tokens that cannot be answered in time, so that the rest need not be tokenized."""
        key = precision, max_seq_len
        if key not in self._max_tokens:
            self._send(FrameKind.MEASURE, orjson.dumps(key))
            self._max_tokens[key] = orjson.loads(self._receive(FrameKind.MEASURED))
        return self._max_tokens[key]

    async def admit(self, demands: Sequence[Demand]) -> None:
        """Ask for permission. If it is refused, the HTTP process ends this process."""
        self._send(FrameKind.DEMAND, orjson.dumps([tuple(demand) for demand in demands]))
        self._receive(FrameKind.ADMITTED)

    async def run(self, work: Work) -> AsyncIterator[tuple[Window, Logits]]:
        """Run windows; at most a few batches of them exist at a time."""
        in_flight: deque[list[Window]] = deque()
        following = batches(work)
        batch = next(following, [])
        while batch:
            ahead = next(following, [])
            self._send(FrameKind.WINDOWS, frames.windows_body(batch, is_last=not ahead))
            in_flight.append([window for _, window in batch])
            while len(in_flight) >= GROUPS_IN_FLIGHT or (in_flight and not ahead):
                for window, logits in self._logits(in_flight.popleft()):
                    yield window, logits
            batch = ahead

    def _logits(self, windows: Sequence[Window]) -> Iterator[tuple[Window, Logits]]:
        values = np.frombuffer(self._receive(FrameKind.LOGITS), np.float32)
        first = 0
        for window in windows:
            length = len(window.input_ids)
            start, end = values[first : first + 2 * length].reshape(2, length)
            yield window, (start, end)
            first += 2 * length


def _end_with(sock: socket.socket) -> None:
    """End this process when the HTTP process has closed the socket, whatever the process is doing."""
    hang_up = select.poll()
    hang_up.register(sock, select.POLLRDHUP)
    hang_up.poll()
    os._exit(0)
