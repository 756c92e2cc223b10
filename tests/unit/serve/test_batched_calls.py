"""When the calls that follow a request are made."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from serve.batched_calls import BATCH_SECONDS, BatchedCalls


async def alone(calls: BatchedCalls, made: list[int]) -> None:
    calls.begin()
    calls.end(lambda: made.append(1))
    assert made == []  # the response goes out first
    await asyncio.sleep(0)
    assert made == [1]


async def beside_others(calls: BatchedCalls, made: list[int]) -> None:
    for _ in range(3):
        calls.begin()
    for number in (1, 2):
        calls.end(lambda number=number: made.append(number))
        await asyncio.sleep(0)
    assert made == []
    await asyncio.sleep(2 * BATCH_SECONDS)
    assert made == [1, 2]


async def the_last_of_several(calls: BatchedCalls, made: list[int]) -> None:
    for _ in range(2):
        calls.begin()
    for number in (1, 2):
        calls.end(lambda number=number: made.append(number))
    await asyncio.sleep(0)
    assert made == [1, 2]
    await asyncio.sleep(2 * BATCH_SECONDS)
    assert made == [1, 2]


async def when_they_are_needed(calls: BatchedCalls, made: list[int]) -> None:
    for _ in range(2):
        calls.begin()
    calls.end(lambda: made.append(1))
    calls.flush()
    assert made == [1]
    calls.end(lambda: made.append(2))
    await asyncio.sleep(0)
    assert made == [1, 2]


def test_a_call_that_fails_is_logged_and_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    made: list[int] = []
    calls = BatchedCalls()

    async def play() -> None:
        for call in (lambda: made.append(1), lambda: made.append(1 // 0), lambda: made.append(2)):
            calls.begin()
            calls.end(call)
        calls.flush()

    asyncio.run(play())
    assert made == [1, 2]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("scene", [alone, beside_others, the_last_of_several, when_they_are_needed])
def test_calls_are_made_once_and_in_order(scene: Callable[[BatchedCalls, list[int]], Awaitable[None]]) -> None:
    async def play() -> None:
        await scene(BatchedCalls(), [])

    asyncio.run(play())
