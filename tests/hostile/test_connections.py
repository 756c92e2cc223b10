"""Connections and bodies that are slow, many, large or abandoned, on a server of their own."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.hostile.raw_client import RawClient, check_error
from tests.server.questions import ANSWER, BODY, post
from tests.waiting import wait_until
from tools.local_server import LocalServer
from tools.process_tree import ProcessTree

Connect = Callable[[LocalServer], RawClient]
MIB = 2**20
SMALL_TIMES = {"REQUEST_TIMEOUT_SECONDS": "4", "KEEP_ALIVE_SECONDS": "3"}
SMALL_NUMBERS = {"MAX_CONNECTIONS": "50", "MAX_BODIES_MB": "32"}


@pytest.fixture(scope="module")
def impatient(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a server with small limits on times."""
    log = tmp_path_factory.mktemp("impatient") / "log"
    with LocalServer(demo_dir, {**SMALL_TIMES, "RUNG_STEP": "128"}, log=log) as server:
        server.wait_until_warm()
        yield server


@pytest.fixture(scope="module")
def limited(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a server with small limits on the number of connections and the size of bodies."""
    log = tmp_path_factory.mktemp("limited") / "log"
    with LocalServer(demo_dir, {**SMALL_NUMBERS, "RUNG_STEP": "128"}, log=log) as server:
        server.wait_until_warm()
        yield server


def head(size: int, path: str = "/invocations") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()


def pss_mb(server: LocalServer) -> float:
    """The memory of all processes of the server; pages that several of them share count once."""
    return ProcessTree(psutil.Process(server.process.pid)).memory_bytes() / MIB


# Slow clients


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_arrive_gets_408_at_the_deadline(
    impatient: LocalServer, connect: Connect, framing: str
) -> None:
    client = connect(impatient)
    start = time.monotonic()
    client.send(f"POST /invocations HTTP/1.1\r\n{framing}\r\n\r\n".encode())
    check_error(client.response(), 408, "request_timeout")
    assert 4 <= time.monotonic() - start < 20
    assert client.is_closed()


def test_an_idle_connection_is_closed_after_its_time(impatient: LocalServer, connect: Connect) -> None:
    client = connect(impatient)
    start = time.monotonic()
    client.send(b"GET /ping HTTP/1.1\r\n\r\n")
    assert client.response().status == 200
    assert client.is_closed()
    assert 3 <= time.monotonic() - start < 20


def test_a_head_has_10_seconds_and_a_first_byte_20(limited: LocalServer, connect: Connect) -> None:
    start = time.monotonic()
    silent, slow = connect(limited), connect(limited)
    slow.send(b"GET /ping HTTP/1.1\r\nA: ")
    while not slow.has_response(seconds=1):
        slow.send_quietly(b"x")
    check_error(slow.response(), 408, "request_timeout")
    assert 10 <= time.monotonic() - start < 20
    assert silent.is_closed()
    assert 20 <= time.monotonic() - start < 50


def test_a_client_that_does_not_read_its_answer_is_dropped(impatient: LocalServer, connect: Connect) -> None:
    client = connect(impatient)
    worker = psutil.Process(impatient.process.pid).children()[0]
    port = client.socket.getsockname()[1]

    def is_open() -> bool:
        return any(each.raddr and each.raddr.port == port for each in worker.net_connections("tcp"))

    wait_until("the server has the connection", is_open)
    line = json.dumps({"question": "a", "context": ""}).encode() + b"\n"
    body = line * 60_000  # each line has an error of about 150 bytes
    client.send(head(len(body)).replace(b"Host: x", b"Content-Type: application/jsonlines") + body)
    assert client.socket.recv(1, socket.MSG_PEEK)  # the response has begun
    wait_until("the connection is closed", lambda: not is_open())


# Many clients


@pytest.mark.parametrize("data", [b"", b"GET /ping HTTP/1.1\r\nA: ", head(100)])
def test_a_new_connection_is_accepted_whatever_the_others_do(
    limited: LocalServer, connect: Connect, data: bytes
) -> None:
    for _ in range(120):
        connect(limited).send(data)
    assert httpx.get(f"{limited.url}/ping", timeout=9).status_code == 200  # sooner than any of the others is late
    assert post(limited, BODY).json()["answer"] == ANSWER
    worker = psutil.Process(limited.process.pid).children()[0]
    wait_until("the server has closed the others", lambda: len(worker.net_connections("tcp")) < 60)


# Large bodies


def test_many_large_bodies_leave_the_memory_within_bounds(limited: LocalServer, connect: Connect) -> None:
    before_mb = pss_mb(limited)
    size = 20 * MIB
    padded = b" " * (size - 1000)  # valid JSON so far
    clients = [connect(limited) for _ in range(30)]
    for client in clients:
        client.send(head(size))
        assert httpx.get(f"{limited.url}/ping").status_code == 200  # by now, the server has read what came before
    statuses = []
    for client in clients[1:]:
        response = client.response()
        check_error(response, 429, "overloaded")
        assert int(response.headers["retry-after"]) >= 1
        statuses.append(response.status)
    assert len(statuses) == 29
    senders = [threading.Thread(target=client.send_quietly, args=(padded,)) for client in clients]
    for sender in senders:
        sender.start()
    peak_mb = 0.0
    while any(sender.is_alive() for sender in senders):
        peak_mb = max(peak_mb, pss_mb(limited))
    assert post(limited, BODY).json()["answer"] == ANSWER  # small bodies are admitted beside it
    clients[0].send(b" " * (1000 - len(json.dumps(BODY))) + json.dumps(BODY).encode())
    assert clients[0].response().json()["answer"] == ANSWER
    assert max(peak_mb, pss_mb(limited)) - before_mb < 32 * 64 / 4  # a quarter of the memory that belongs to 32 MiB


def test_chunked_bodies_are_counted_while_they_arrive(limited: LocalServer, connect: Connect) -> None:
    before_mb = pss_mb(limited)
    chunk = b"100000\r\n" + b" " * MIB + b"\r\n"
    clients = [connect(limited) for _ in range(12)]
    for client in clients:
        client.send(b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(8):
        for client in clients:
            client.send_quietly(chunk)

    def refused_clients() -> list[RawClient]:
        return [client for client in clients if client.has_response(seconds=0)]

    wait_until("those are refused that do not fit", lambda: len(refused_clients()) >= 8)
    refused = refused_clients()
    assert len(refused) < 12  # at most three of 8 MiB fit into three quarters of 32 MiB
    for client in refused:
        check_error(client.response(), 429, "overloaded")
    assert pss_mb(limited) - before_mb < 32 * 64 / 4
    for client in clients:
        client.close()
    wait_until("the room is free", lambda: ask_padded(limited, 20 * MIB) == 200)


def ask_padded(server: LocalServer, size: int) -> int:
    body = json.dumps(BODY).encode().rjust(size)
    return httpx.post(f"{server.url}/invocations", content=body, timeout=60).status_code
