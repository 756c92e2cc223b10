"""The life of one connection: which request runs, when the connection is late, and how it ends."""

import asyncio
from collections import deque
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from serve.errors import RequestError, RequestTimeout
from serve.http.connections import NEVER, Connections
from serve.http.cycle import RequestCycle

WAITING, HEAD, BODY = range(3)  # what of a request arrives next: its first byte, the rest of its head or of its body
DEAF = -1  # as `_room`: everything that arrives is dropped


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with time limits, and with an end that lets the client read its response.

    The sweep of Connections reads `due`, `unsent_due`, `active_at` and `began_at`, which are times of the event loop.
    """

    def __init__(
        self,
        shared: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._shared = shared
        self._limits = shared.limits
        self._stage = WAITING
        self._room = self._limits.head_bytes  # this many bytes may arrive before something has to be checked
        self._running: RequestCycle | None = None
        self._queue: deque[RequestCycle] = deque()  # requests that the client has pipelined
        self._is_lingering = False
        self._unsent_bytes = 0
        self.began_at = self.active_at = self.loop.time()  # active_at is NEVER while the client only waits
        self.due = self.began_at + self._limits.first_byte_seconds
        self.unsent_due = NEVER

    # The beginning and the end

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, for which another one may have to be closed."""
        self._shared.make_room()
        super().connection_made(transport)
        self._closing_transport = _ClosingTransport(transport, self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all requests of the client that it has left; uvicorn would tell the last one only."""
        if self._running is not None:
            self._running.leave()
            assert self._running.task is not None
            self._running.task.add_done_callback(self._running.release)
        for cycle in self._queue:
            cycle.release()
        self._queue.clear()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """Note that the client has closed its side, which counts as leaving. The rest is sent."""
        self._wait_for_reader(self.loop.time())

    def shutdown(self) -> None:
        """Close the connection as soon as its accepted requests have been answered."""
        if self._running is None:
            self.transport.close()
        else:
            (self._queue[-1] if self._queue else self._running).keep_alive = False

    def close_after_response(self) -> None:
        """Close the connection. If the client is still sending, its input is read and dropped for a while.

        Closing at once would make the kernel send a reset, and the client would lose the response that it has not read.
        """
        if self.transport.is_closing():
            return
        now = self.loop.time()
        self._wait_for_reader(now)
        if self._stage == WAITING:
            self.transport.close()
        elif not self._is_lingering:
            self._is_lingering = True
            self._room = DEAF
            self.active_at = now
            self.due = now + self._limits.linger_seconds
            self.flow.resume_reading()
            self.transport.write_eof()

    # Requests

    def accept(self, cycle: RequestCycle) -> None:
        """Answer a request, after those of this connection that came before it."""
        self.cycle = cycle
        if self._running is None:
            self._start(cycle)
        else:
            self._queue.append(cycle)

    def _start(self, cycle: RequestCycle) -> None:
        self._running = cycle
        task = cycle.task = self.loop.create_task(cycle.run_asgi(cycle.app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """Start the next request, or wait for one."""
        self.server_state.total_requests += 1
        if self._running is not None:
            self._running.release()
            self._running = None
        if self._is_lingering or self.transport.is_closing():
            return
        now = self.active_at = self.loop.time()
        self.flow.resume_reading()
        if self._queue:
            cycle = self._queue.popleft()
            self._start(cycle)
            if cycle.more_body and not cycle.failure:
                self.due = now + self._limits.request_seconds
        elif self._stage == WAITING:
            self.due = now + self._limits.idle_seconds

    # Time limits

    def on_late(self, now: float) -> None:
        """End what has missed its time limit."""
        cycle = self._running
        if self._stage == HEAD and not self._is_lingering and self._room != DEAF:
            seconds = self._limits.head_seconds
            self.refuse(RequestTimeout(f"the head of the request did not arrive within {seconds:g} s; send it faster"))
        elif self._stage == BODY and cycle is self.cycle and cycle is not None and not cycle.failure:
            if self.flow.read_paused:
                return  # the application reads slowly, not the client; it has a deadline of its own
            seconds = self._limits.request_seconds
            cycle.fail(RequestTimeout(f"the body did not arrive within {seconds:g} s; send it faster, or send less"))
            self._room = DEAF
            self.due = NEVER  # the application answers now
        elif self._stage == WAITING and not self.transport.get_write_buffer_size():
            self.transport.close()
        else:
            self.transport.abort()

    def refuse(self, error: Exception) -> None:
        """Answer with an error what can be no request, then close the connection."""
        raise NotImplementedError

    def give_way(self, error: RequestError) -> None:
        """Let the request in work fail, and close the connection."""
        if self._running is not None:
            self._running.fail(error)
        self.active_at = self.loop.time()

    def pause_writing(self) -> None:
        """Note that the client is not reading; the transport calls this when too much is unsent."""
        self._wait_for_reader(self.loop.time())
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client is reading again."""
        if self.transport.is_closing():
            self._wait_for_reader(self.loop.time())
        else:
            self.unsent_due = NEVER
        super().resume_writing()

    def _wait_for_reader(self, now: float) -> None:
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self.unsent_due = now + self._limits.request_seconds

    def drop_if_stalled(self, now: float) -> None:
        """Drop the connection if the client has read nothing since the last check."""
        if self.transport.get_write_buffer_size() >= self._unsent_bytes:
            self.transport.abort()
        else:
            self._wait_for_reader(now)

    @property
    def descriptor(self) -> int:
        """The file descriptor of the open connection."""
        return int(self.transport.get_extra_info("socket").fileno())


class _ClosingTransport:
    """The transport as a cycle sees it: closing it waits until the client has read the response."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = connection.close_after_response
