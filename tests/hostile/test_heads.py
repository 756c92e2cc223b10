"""Heads of requests that are too large, wrong, or ask for an upgrade, sent to the server."""

import json
import threading
from collections.abc import Callable

import httpx
import pytest

from tests.hostile.raw_client import RawClient, check_error
from tests.server.questions import ANSWER, BODY
from tests.server.server_process import row_of_request
from tools.local_server import LocalServer

Connect = Callable[[LocalServer], RawClient]
PING_SECONDS = 15  # the request itself would take minutes if each piece of it were parsed from the beginning


def question(*fields: str, path: str = "/invocations") -> bytes:
    body = json.dumps(BODY).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize("mib", [1, 48])
@pytest.mark.parametrize(
    ("start", "error"),
    [
        (b"GET /", (414, "uri_too_long")),
        (b"GET /ping HTTP/1.1\r\nX-A: ", (431, "request_header_fields_too_large")),
    ],
)
def test_an_endless_head_is_refused_and_delays_nobody(
    server: LocalServer, connect: Connect, mib: int, start: bytes, error: tuple[int, str]
) -> None:
    client = connect(server)
    sender = threading.Thread(target=client.send_quietly, args=(start + b"x" * mib * 2**20,))
    sender.start()
    assert httpx.get(f"{server.url}/ping", timeout=PING_SECONDS).status_code == 200
    check_error(client.response(), *error)
    sender.join()


def test_a_head_that_is_refused_is_logged_and_counted(server: LocalServer, connect: Connect) -> None:
    client = connect(server)
    client.send(question("X-Amzn-SageMaker-Inference-Id: too-many", *["A: b"] * 100))
    check_error(client.response(), 431, "request_header_fields_too_large")
    assert client.is_closed()
    metrics = httpx.get(f"{server.url}/metrics").text
    assert 'bertqa_requests_total{status="431"}' in metrics
    assert row_of_request(server, "too-many")["status"] == 431


@pytest.mark.parametrize("value", ["h2c", "websocket", "anything"])
@pytest.mark.parametrize("is_apart", [False, True])
def test_an_upgrade_is_ignored(server: LocalServer, connect: Connect, value: str, is_apart: bool) -> None:
    client = connect(server)
    data = question("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {value}", "HTTP2-Settings: AAEAAEAAAA")
    end_of_head = data.index(b"\r\n\r\n") + 4
    for _ in range(2):
        if is_apart:
            client.send(data[:end_of_head])
            assert httpx.get(f"{server.url}/ping").status_code == 200
            client.send(data[end_of_head:])
        else:
            client.send(data)
        response = client.response()
        assert (response.status, response.json()["answer"]) == (200, ANSWER)


def test_a_request_in_the_body_of_an_upgrade_is_not_answered(server: LocalServer, connect: Connect) -> None:
    client = connect(server)
    hidden = b"GET /info HTTP/1.1\r\n\r\n"
    head = f"POST /invocations HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: {len(hidden)}\r\n\r\n"
    client.send(head.encode())
    assert httpx.get(f"{server.url}/ping").status_code == 200
    client.send(hidden)
    check_error(client.response(), 400, "malformed_body")
    client.send(question("Connection: close"))
    assert client.response().json()["answer"] == ANSWER
    assert client.is_closed()


@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\x0bchunked",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "A: b\x00c",
        "A: b\rc",
    ],
)
def test_framing_that_two_servers_could_read_differently_is_refused(
    server: LocalServer, connect: Connect, fields: str
) -> None:
    client = connect(server)
    client.send(f"POST /invocations HTTP/1.1\r\n{fields}\r\n\r\n0\r\n\r\nGET /info HTTP/1.1\r\n\r\n".encode("latin-1"))
    check_error(client.response(), 400, "malformed_request")
    assert client.is_closed()
