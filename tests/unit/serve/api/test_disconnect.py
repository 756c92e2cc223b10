"""The work for a client that disconnects is cancelled; other work is not."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from serve.api.disconnect import WATCH_AFTER_SECONDS, cancel_on_disconnect


def request_of(client_leaves: asyncio.Event) -> Request:
    async def receive() -> Message:
        await client_leaves.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


@pytest.mark.parametrize("seconds", [0, 2 * WATCH_AFTER_SECONDS])
def test_the_result_is_returned_if_the_client_stays(seconds: float) -> None:
    async def run() -> str:
        before = asyncio.all_tasks()
        result = await cancel_on_disconnect(request_of(asyncio.Event()), asyncio.sleep(seconds, "done"))
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before  # nobody waits for the disconnect any longer
        return result

    assert asyncio.run(run()) == "done"


def test_the_work_is_cancelled_if_the_client_leaves() -> None:
    ends: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cancelled")

    async def run() -> None:
        client_leaves = asyncio.Event()
        asyncio.get_running_loop().call_later(2 * WATCH_AFTER_SECONDS, client_leaves.set)
        with pytest.raises(ClientDisconnect):
            await cancel_on_disconnect(request_of(client_leaves), work())
        await asyncio.sleep(0)  # the task itself is not cancelled

    asyncio.run(run())
    assert ends == ["cancelled"]


def test_a_cancellation_from_elsewhere_is_not_taken_for_a_disconnect() -> None:
    async def run() -> None:
        task = asyncio.create_task(cancel_on_disconnect(request_of(asyncio.Event()), asyncio.sleep(60)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_an_error_of_the_work_is_raised() -> None:
    async def work() -> None:
        raise ValueError("bug")

    async def run() -> None:
        with pytest.raises(ValueError, match="bug"):
            await cancel_on_disconnect(request_of(asyncio.Event()), work())

    asyncio.run(run())
