"""One request and its response on a connection."""

import asyncio
from typing import Any

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from serve.http.connections import Connections

# Go's net/http closes the connection too if more than this is left of a body that the application did not read.
UNREAD_BYTES = 262_144


class RequestCycle(RequestResponseCycle):
    """uvicorn's cycle, which can also fail while its body arrives: `receive` then raises the error."""

    def __init__(self, app: Any, body_bytes: int | None, shared: Connections, **of_uvicorn: Any) -> None:
        """app: the ASGI application that answers. body_bytes: the announced size; None if the body is chunked."""
        super().__init__(**of_uvicorn)
        self.app = app
        self.task: asyncio.Task[None] | None = None  # since the application has been called
        self.body_bytes = body_bytes
        self.held_bytes = 0  # what the body holds of the budget
        self.received_bytes = 0  # of a chunked body
        self.failure: Exception | None = None
        self._shared = shared

    @property
    def wants_body(self) -> bool:
        """Whether the rest of the body still matters to anyone."""
        return self.failure is None and not self.response_complete

    def hold(self, size: int) -> bool:
        """Hold some bytes of the budget; return False if there is no room for them."""
        held = self._shared.budget.hold(self.held_bytes, size)
        if held is None:
            return False
        self.held_bytes = held
        return True

    def release(self, _: object = None) -> None:
        """Give back what the body holds of the budget."""
        if self.held_bytes:
            self._shared.budget.hold(self.held_bytes, 0)
            self.held_bytes = 0

    def fail(self, error: Exception) -> None:
        """Let the application answer with an error, the next time that it reads the body. Then the connection ends."""
        if self.failure is None:
            self.failure = error
            self.keep_alive = False
            self.body.clear()
            self.release()  # now, and not when the application has answered: others need not fail for the same bytes
            self.message_event.set()

    def leave(self) -> None:
        """Note that the client has left."""
        self.disconnected = True
        self.message_event.set()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next part of the body, or the disconnect.

        Raises: the error, usually a RequestError, with which the request has failed meanwhile.
        """
        if self.failure is None:
            message = await super().receive()
            if self.failure is None:
                return message
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        raise self.failure

    def send(self, message: ASGISendEvent) -> Any:
        """Send a part of the response; return an awaitable."""
        if self.more_body and not self.response_started:
            # The client may not send the body that nobody reads, so what follows may be a body or a request.
            is_short = self.body_bytes is not None and self.body_bytes <= UNREAD_BYTES
            self.keep_alive = self.keep_alive and is_short and not self.waiting_for_100_continue
        return super().send(message)

    async def send_500_response(self) -> None:
        """Answer with the body that all errors have."""
        if not self.disconnected:
            await self._shared.refusal(RuntimeError())(self.scope, self.receive, self.send)  # type: ignore[arg-type]
