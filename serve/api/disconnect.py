"""Stop the work for a client that has disconnected."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")

WATCH_AFTER_SECONDS = 0.05  # most answers are ready earlier, so most requests do not pay for the watch


async def cancel_on_disconnect(request: Request, work: Coroutine[None, None, T]) -> T:
    """Await the work for a request whose body has been read, and cancel the work if the client disconnects.

    Raises: ClientDisconnect.
    """
    this_task = asyncio.current_task()
    assert this_task is not None
    watch: asyncio.Task[None] | None = None
    has_left = False

    async def wait_for_disconnect() -> None:
        nonlocal has_left
        await request.receive()  # after the body, the only message that can arrive is the disconnect
        has_left = True
        this_task.cancel()

    def start_watch() -> None:
        nonlocal watch
        watch = asyncio.create_task(wait_for_disconnect())

    timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, start_watch)
    try:
        return await work
    except asyncio.CancelledError:
        if has_left:
            this_task.uncancel()
            raise ClientDisconnect from None
        raise
    finally:
        timer.cancel()
        if watch is not None:
            watch.cancel()
