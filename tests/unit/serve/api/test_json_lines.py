"""JSON Lines as a stream: lines whole whatever the chunks, order, and bounded memory on the real server."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import orjson
import psutil
import pytest

from serve.api import json_lines
from tools.local_server import LocalServer
from tools.process_tree import ProcessTree

LINE = orjson.dumps({"question": "Who built it?", "context": "Zoë Müller built the lighthouse. " + "\t" * 3000}) + b"\n"
HEADERS = {"content-type": "application/jsonlines"}
SEND_BYTES = 5 * 2**20
MOST_BYTES = 150 * 2**20  # above idle


def lines_of(body: bytes, chunk_bytes: int) -> list[bytes | None]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk_bytes):
            yield body[start : start + chunk_bytes]

    async def collect() -> list[bytes | None]:
        return [line async for line in json_lines.split(chunks())]

    return asyncio.run(collect())


def test_answers_are_streamed_in_the_order_of_the_lines() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"first\nsecond\nthird"

    async def answer(line: bytes | None) -> bytes:
        await asyncio.sleep(0.01 if line == b"first" else 0)
        return line or b""

    async def run() -> bytes:
        answers = json_lines.SpooledAnswers(answer)
        await answers.read(body())
        await answers.finish()
        size_bytes = answers.size_bytes
        streamed = b"".join([piece async for piece in answers.stream()])
        assert len(streamed) == size_bytes
        return streamed

    assert asyncio.run(run()) == b"first\nsecond\nthird\n"


@pytest.mark.parametrize(("line_bytes", "most"), [(10, json_lines.LINES_IN_FLIGHT), (2**20, 5), (5 * 2**20, 2)])
def test_the_body_waits_while_enough_lines_are_in_flight(line_bytes: int, most: int) -> None:
    in_flight = peak = 0

    async def body() -> AsyncIterator[bytes]:
        for _ in range(2 * json_lines.LINES_IN_FLIGHT):
            yield b"x" * line_bytes + b"\n"
            await asyncio.sleep(0)  # the line starts

    async def answer(_: bytes | None) -> bytes:
        nonlocal in_flight, peak
        in_flight += 1
        peak = max(peak, in_flight)
        await asyncio.sleep(0.001)
        in_flight -= 1
        return b""

    async def run() -> None:
        answers = json_lines.SpooledAnswers(answer)
        await answers.read(body())
        await answers.finish()
        answers.cancel()

    asyncio.run(run())
    assert 1 < peak <= most


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 100])
@pytest.mark.parametrize("body", [b"", b"a", b"a\n", b"a\n\nbc\r\nd", b"\n", b"\n\n"])
def test_the_size_of_the_pieces_does_not_change_the_lines(body: bytes, chunk_bytes: int) -> None:
    assert lines_of(body, chunk_bytes) == (body.removesuffix(b"\n").split(b"\n") if body else [])


def test_a_line_that_is_too_long_is_marked_and_does_not_affect_the_others() -> None:
    body = b"a\n" + b"x" * (json_lines.LINE_BYTES + 1) + b"\nb\n" + b"y" * (json_lines.LINE_BYTES + 1)
    assert lines_of(body, 2**20) == [b"a", None, b"b", None]


def test_a_batch_streams_through_in_bounded_memory(demo_dir: Path, tmp_path: Path) -> None:
    """Above MAX_PAYLOAD_MB, so only SAGEMAKER_BATCH lets it in. Every tenth line is bad. Nobody is told to wait."""
    count = SEND_BYTES // len(LINE)

    def body() -> Iterator[bytes]:
        for number in range(count):
            yield b"{broken\n" if number % 10 == 3 else LINE

    environment = {"SAGEMAKER_BATCH": "True", "MAX_PAYLOAD_MB": "1", "MAX_QUEUE_SECONDS": "0.001"}
    with LocalServer(demo_dir, log=tmp_path / "log", environment=environment) as server:
        server.wait_until_warm()
        tree = ProcessTree(psutil.Process(server.process.pid))
        idle = tree.memory_bytes()
        peak, done = idle, threading.Event()

        beside: list[int] = []

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.2):
                peak = max(peak, tree.memory_bytes())
                beside.append(httpx.post(url, content=LINE, headers=HEADERS, timeout=60).status_code)

        url = f"{server.url}/invocations"
        watching = threading.Thread(target=watch)
        watching.start()
        response = httpx.post(url, content=body(), headers=HEADERS, timeout=300)
        done.set()
        watching.join()
    assert set(beside) == {200}
    assert response.status_code == 200
    answers = [orjson.loads(line) for line in response.text.splitlines()]
    assert len(answers) == count
    for number, answer in enumerate(answers):
        assert ("error_type" in answer) == (number % 10 == 3)
    assert peak - idle <= MOST_BYTES


def test_a_client_that_leaves_in_the_middle_ends_the_work(client: httpx.Client, server: LocalServer) -> None:
    context = "The harbour office kept careful records of every ship that came in. " * 2000
    line = orjson.dumps({"question": "Who kept records?", "context": context}) + b"\n"
    with socket.create_connection(("127.0.0.1", server.port)) as leaver:
        leaver.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/jsonlines\r\n")
        leaver.sendall(b"x-amzn-sagemaker-inference-id: leaver\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(20):
            leaver.sendall(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        wait_until(lambda: waiting_windows(client) > 0)
    wait_until(lambda: waiting_windows(client) == 0)
    assert server.log
    wait_until(lambda: '"error":"client_gone"' in record_of("leaver", server.log))


def waiting_windows(client: httpx.Client) -> float:
    return float(re.findall(r"^bertqa_queue_windows (.*)$", client.get("/metrics").text, re.MULTILINE)[0])


def record_of(request_id: str, log: Path) -> str:
    return next((line for line in log.read_text().splitlines() if f'"request_id":"{request_id}"' in line), "")


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
