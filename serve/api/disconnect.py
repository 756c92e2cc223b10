"""Stop the work for a request whose client has disconnected, or which the server has to give up."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from serve.errors import RequestError

T = TypeVar("T")

WATCH_AFTER_SECONDS = 0.05  # most answers are ready earlier, so most requests do not pay for the watch


async def cancel_on_disconnect(request: Request, work: Coroutine[None, None, T]) -> T:
    """Await the work for a request whose body has been read, and cancel the work if the client disconnects.

    Raises: ClientDisconnect, or the RequestError with which the server gave the request up (serve/http/cycle.py).
    """
    this_task = asyncio.current_task()
    assert this_task is not None
    watch: asyncio.Task[None] | None = None
    end: Exception | None = None

    async def wait_for_disconnect() -> None:
        nonlocal end
        try:
            await request.receive()  # after the body, the only message that can arrive is the disconnect
            end = ClientDisconnect()
        except RequestError as error:
            end = error
        this_task.cancel()

    def start_watch() -> None:
        nonlocal watch
        watch = asyncio.create_task(wait_for_disconnect())

    timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, start_watch)
    try:
        return await work
    except asyncio.CancelledError:
        if end is not None:
            this_task.uncancel()
            raise end from None
        raise
    finally:
        timer.cancel()
        if watch is not None:
            watch.cancel()
