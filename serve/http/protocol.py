"""The HTTP/1.1 protocol: uvicorn's, with limits on what a client can send, and on what each part of it costs.

httptools parses. This class counts the bytes of heads and of chunked framing as they arrive, ignores upgrades, holds
the bytes of bodies in the budget, and turns everything that is refused into the JSON error that clients know.
"""

import asyncio
import logging
import sys
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from serve.errors import MalformedRequest, RequestError
from serve.http import head
from serve.http.body_budget import SMALL_BYTES
from serve.http.connection import BODY, DEAF, HEAD, WAITING, Connection
from serve.http.connections import NEVER
from serve.http.cycle import RequestCycle

log = logging.getLogger(__name__)

UNLIMITED = sys.maxsize
ABOUT_BODY = {b"content-length", b"transfer-encoding", b"expect"}  # fields


class HttpProtocol(Connection):
    """Receives the requests of one connection."""

    _is_counted = False  # whether `_room` has counted the present head from its first byte
    _has_upgrade = False  # whether the parser has stopped after a head that asks for an upgrade
    _length: int | None = 0  # of the present body; None if it is chunked

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived. The one comparison with `_room` serves every limit on sizes."""
        if len(data) <= self._room:
            self._receive(data)
        elif self._room != DEAF:
            self._receive_in_pieces(memoryview(data))

    def _receive_in_pieces(self, data: memoryview) -> None:
        """Parse as much as there is room for, then look at the room again."""
        while data and self._room != DEAF:
            if self._room > 0:
                piece, data = data[: self._room], data[self._room :]
                self._receive(piece)
            elif self._stage == BODY:
                self._fail(MalformedRequest("the chunks have more framing than content; send larger chunks"))
            else:
                self.refuse(head.too_large(self.url, self._limits))

    def _receive(self, data: bytes | memoryview) -> None:
        self.active_at = self.loop.time()
        if self._stage == WAITING:
            self._begin_head(is_counted=True)
        self._room -= len(data)
        self._parse(data)

    def _begin_head(self, *, is_counted: bool) -> None:
        self._stage = HEAD
        self._is_counted = is_counted
        self.url = b""
        self.headers = []
        self.began_at = self.active_at
        self.due = self.began_at + self._limits.head_seconds

    def _parse(self, data: bytes | memoryview) -> None:
        while self._room != DEAF:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as stop:
                data = data[stop.args[0] :]
            except httptools.HttpParserError as error:
                self._fail(_reason(error))
                return
            self._parse_without_upgrade()

    def _parse_without_upgrade(self) -> None:
        """Parse the present head again: the parser has taken it for the last one of HTTP/1.1, and dropped its body."""
        version = self.parser.get_http_version()
        bare_head = head.without_upgrade(self.parser.get_method(), self.url, version, self.headers)
        self._has_upgrade = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._parse(bare_head)

    # What the parser has found. An error that is raised here comes out of the parser's feed_data.

    def on_message_begin(self) -> None:
        """Begin a request. If it begins amid the data, `_room` has not counted its first bytes."""
        if self._stage == WAITING:
            self._begin_head(is_counted=False)
        super().on_message_begin()
        self._length = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header field. Fields behind a chunked body are dropped: the application has the headers already."""
        if self._stage == BODY:
            return
        name = name.lower()
        if name in ABOUT_BODY:
            self._note_about_body(name, value)
        self.headers.append((name, value))

    def _note_about_body(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._length = head.content_length(value)
        elif name == b"transfer-encoding":
            self._length = None
        elif value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """Check the head, and let the application answer."""
        version = self.parser.get_http_version()
        method = self.parser.get_method()
        self._check_head(version)
        if self.parser.should_upgrade():
            if method == b"CONNECT":
                raise MalformedRequest("CONNECT is not supported; GET /docs lists the routes and their methods")
            self._has_upgrade = True
            return
        scope = self.scope
        scope["method"] = method.decode("ascii")
        scope["http_version"] = version
        head.add_path(scope, self.url)
        length = self._length
        self._stage = BODY
        self._room = self._limits.framing_bytes if length is None else UNLIMITED
        cycle = self._new_cycle(self.app, length, keep_alive=version == "1.1" and self.parser.should_keep_alive())
        self._hold(cycle, SMALL_BYTES if length is None else length)
        self.due = NEVER if self._running else self.began_at + self._limits.request_seconds
        self.accept(cycle)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body until the application reads it."""
        cycle: RequestCycle = self.cycle  # type: ignore[assignment]
        if self._length is None:
            self._room += 2 * len(body)  # the body itself, which `_room` has counted, and as much for its framing
            cycle.received_bytes += len(body)
            if cycle.received_bytes > cycle.held_bytes and cycle.wants_body:
                self._hold(cycle, cycle.received_bytes + SMALL_BYTES)
        if not cycle.wants_body:
            return
        cycle.body += body
        # The body of a request that waits for others is read as far as the budget holds it: the server notices that
        # the client has left only if it reads.
        if len(cycle.body) > (HIGH_WATER_LIMIT if cycle is self._running else cycle.held_bytes):
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Note that the whole request has arrived."""
        if self._has_upgrade:
            return
        cycle: RequestCycle = self.cycle  # type: ignore[assignment]
        cycle.more_body = False
        self._stage = WAITING
        self._room = self._limits.head_bytes if cycle.keep_alive else DEAF
        if cycle.response_complete:
            self.due = self.active_at + self._limits.idle_seconds
        else:
            self.due = self.active_at = NEVER
            cycle.message_event.set()

    def _check_head(self, version: str) -> None:
        limits = self._limits
        if len(self._queue) >= limits.pipelined:
            raise self._shared.overloaded("pipelining", f"a connection may have {limits.pipelined} requests that wait")
        if version not in head.VERSIONS:
            raise MalformedRequest("this version of HTTP is not supported; send HTTP/1.1")
        is_too_large = not self._is_counted and head.size(self.url, self.headers) > limits.head_bytes
        if is_too_large or len(self.headers) > limits.header_fields:
            raise head.too_large(self.url, limits)

    def _new_cycle(self, app: Any, length: int | None, *, keep_alive: bool) -> RequestCycle:
        return RequestCycle(
            app,
            length,
            self._shared,
            scope=self.scope,
            transport=self._closing_transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue and self.scope["http_version"] == "1.1",
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )

    def _hold(self, cycle: RequestCycle, size: int) -> None:
        if not cycle.hold(size):
            cycle.fail(
                self._shared.overloaded(
                    "bodies", "the bodies of other requests take the memory for bodies (MAX_BODIES_MB)"
                )
            )

    # Errors

    def _fail(self, error: Exception) -> None:
        """Answer with an error: the request whose body was arriving, or what cannot become a request."""
        if self._stage != BODY:
            self.refuse(error)
            return
        cycle: RequestCycle = self.cycle  # type: ignore[assignment]
        self._room = DEAF
        self.due = NEVER
        if cycle.response_complete:
            self.close_after_response()
        else:
            cycle.fail(error)

    def refuse(self, error: Exception) -> None:
        """Answer with an error what cannot become a request, then close the connection."""
        self._stage = HEAD  # the client may still be sending it
        self._room = DEAF
        self.due = NEVER
        self.expect_100_continue = False
        self.scope = {"type": "http", "method": "GET", "http_version": "1.1", "headers": self.headers}  # type: ignore[typeddict-item]
        cycle = self._new_cycle(self._shared.refusal(error), 0, keep_alive=False)
        cycle.more_body = False
        self.accept(cycle)


def _reason(error: httptools.HttpParserError) -> Exception:
    """Return the error for the client: what a callback raised, or what the parser says."""
    if not isinstance(error, httptools.HttpParserCallbackError):
        return head.not_valid(str(error))
    raised = error.__context__
    if not isinstance(raised, RequestError):
        log.error("a request could not be read because of an unexpected error", exc_info=raised)
    return raised if isinstance(raised, Exception) else error
