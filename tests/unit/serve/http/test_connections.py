"""How long a connection may take for what, and how many connections there may be; on a real socket."""

import asyncio
import time

import pytest

from serve.http.limits import Limits
from tests.unit.serve.http.serving import MIB, SECONDS, Served
from tests.unit.serve.http.test_protocol import GET, check_error, post, run

LONG = 10 * SECONDS


def limits(**changed: float) -> Limits:
    times = {"first_byte_seconds": LONG, "head_seconds": LONG, "request_seconds": LONG, "idle_seconds": LONG}
    return Limits(**{**times, **changed})  # type: ignore[arg-type]


def test_a_connection_without_a_byte_is_closed() -> None:
    async def check(served: Served) -> None:
        start = time.monotonic()
        client = await served.client()
        assert await client.is_closed()
        assert time.monotonic() - start >= 0.3

    run(check, limits(first_byte_seconds=0.3))


@pytest.mark.parametrize("begin", [b"GET /a HTTP/1.1\r\na: ", b"", b"\r\n"])
def test_a_head_that_drips_gets_408(begin: bytes) -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        start = time.monotonic()
        await client.send(begin or b"G")
        drip = asyncio.create_task(_drip(client.writer, b"\r\n" if begin == b"\r\n" else b"x" if begin else b""))
        check_error(await client.answer(), 408, "request_timeout")
        assert time.monotonic() - start >= 0.3
        drip.cancel()

    run(check, limits(head_seconds=0.3))


async def _drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    while True:
        writer.write(data)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("drips", [True, False])
def test_a_body_that_drips_or_never_comes_gets_408(framing: str, drips: bool) -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        start = time.monotonic()
        await client.send(f"POST /a HTTP/1.1\r\n{framing}\r\n\r\n".encode())
        drip = asyncio.create_task(_drip(client.writer, b"1\r\nx\r\n" if drips else b""))
        check_error(await client.answer(), 408, "request_timeout")
        assert time.monotonic() - start >= 0.4
        drip.cancel()

    run(check, limits(request_seconds=0.4))


def test_the_body_of_a_request_that_waits_for_others_is_timed_from_its_turn() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        second = post(b"x" * 1000)
        await client.send(post(b"", path="/wait") + second[:-10])
        await asyncio.sleep(2.5)
        served.app.go_on.set()
        assert (await client.answer()).status == 200
        await client.send(second[-10:])
        assert (await client.answer()).status == 200

    run(check, limits(request_seconds=2))


def test_a_body_that_the_application_reads_slowly_is_not_late() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        asked = asyncio.create_task(client.ask(post(b"x" * MIB, path="/late")))
        await asyncio.sleep(1.4)
        served.app.go_on.set()
        answer = await asked
        assert (answer.status, answer.json().get("bytes")) == (200, MIB), answer.json()

    run(check, limits(request_seconds=1))


def test_a_request_in_work_and_an_answered_one_are_not_late() -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        await client.send(post(b"x", path="/wait"))
        await asyncio.sleep(1.5)
        served.app.go_on.set()
        assert (await client.answer()).status == 200
        await asyncio.sleep(1.5)
        assert (await client.ask(GET)).status == 200

    run(check, limits(request_seconds=0.8, head_seconds=0.8, first_byte_seconds=0.8))


def test_an_idle_connection_is_closed_and_a_used_one_is_not() -> None:
    async def check(served: Served) -> None:
        used, idle = await served.client(), await served.client()
        assert (await idle.ask(GET)).status == 200
        for _ in range(30):
            assert (await used.ask(GET)).status == 200
            await asyncio.sleep(0.1)
        assert await idle.is_closed()
        assert (await used.ask(GET)).status == 200

    run(check, limits(idle_seconds=2))


@pytest.mark.parametrize("end", ["", "Connection: close"])
def test_a_client_that_does_not_read_its_response_is_dropped(end: str) -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        start = time.monotonic()
        await client.send(post(b"x", *filter(None, [end]), path=f"/large/{32 * MIB}"))
        await served.until(lambda: served.app.begun)
        await served.until(lambda: not served.state.connections)
        assert time.monotonic() - start >= 0.5

    run(check, limits(request_seconds=0.5))


@pytest.mark.parametrize("end", ["", "Connection: close"])
def test_a_client_that_reads_slowly_gets_its_whole_response(end: str) -> None:
    async def check(served: Served) -> None:
        client = await served.client()
        size = 32 * MIB
        await client.send(post(b"x", *filter(None, [end]), path=f"/large/{size}"))
        await client.reader.readuntil(b"\r\n\r\n")
        received = 0
        while received < size:
            received += len(await client.reader.readexactly(MIB))
            await asyncio.sleep(0.15)  # the whole response takes more than three times the limit

    run(check, limits(request_seconds=1.5))


# The number of connections


async def pings(served: Served) -> bool:
    client = await served.client()
    return (await client.ask(GET)).status == 200


def test_the_connection_that_has_been_idle_longest_makes_room() -> None:
    async def check(served: Served) -> None:
        clients = [await served.client() for _ in range(5)]
        for client in clients:
            assert (await client.ask(GET)).status == 200
            await asyncio.sleep(0.005)
        assert (await clients[0].ask(GET)).status == 200
        assert await pings(served)
        assert await clients[1].is_closed()
        assert (await clients[0].ask(GET)).status == 200
        assert await pings(served)
        assert await clients[2].is_closed()
        assert len(served.state.connections) == 5

    run(check, limits(connections=5))


@pytest.mark.parametrize("data", [b"", b"GET /a HTTP/1.1\r\na: ", post(b"x" * 1000)[:-10]])
def test_connections_that_say_little_do_not_keep_others_out(data: bytes) -> None:
    async def check(served: Served) -> None:
        working = await served.client()
        await working.send(post(b"x", path="/wait"))
        await served.until(lambda: served.app.begun == ["/wait"])
        for _ in range(20):
            await (await served.client()).send(data)
        assert await pings(served)
        await served.until(lambda: len(served.state.connections) <= 5)
        served.app.go_on.set()
        assert (await working.answer()).status == 200

    run(check, limits(connections=5))


def test_if_every_connection_has_a_request_in_work_the_newest_one_gives_way() -> None:
    async def check(served: Served) -> None:
        clients = [await served.client() for _ in range(5)]
        for index, client in enumerate(clients):
            await client.send(post(b"x", path=f"/wait/{index}"))
            await served.until(lambda index=index: len(served.app.begun) == index + 1)
            await asyncio.sleep(0.01)
        assert await pings(served)
        check_error(await clients[4].answer(), 429, "overloaded")
        served.app.go_on.set()
        assert [(await client.answer()).status for client in clients[:4]] == [200] * 4

    run(check, limits(connections=5))
