"""Clients that send their requests slowly, or nothing at all."""

import contextlib
import json
import socket
import time

from tests.hostile.exchange import read_responses
from tests.server.questions import BODY
from tools.local_server import LocalServer

LINES = (
    b"POST /invocations HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/jsonlines\r\nTransfer-Encoding: chunked\r\n\r\n"
)
RECEIVED_BYTES = 65536  # of a response, which the system keeps for a client that does not read


def post_slowly(server: LocalServer, count: int, seconds: float) -> list[int]:
    """Send so many requests at the same time, and pause in the middle of their bodies. Return the statuses."""
    body = json.dumps(BODY).encode()
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60)) for _ in range(count)
        ]
        for each in connections:
            each.sendall(head + body[:10])
        time.sleep(seconds)
        for each in connections:
            each.sendall(body[10:])
        return [read_responses(each, 1)[0].status for each in connections]


def begin_lines(server: LocalServer) -> socket.socket:
    """Begin a request in JSON Lines, and send no line. The system buffers little of the response."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(LINES)
    return connection


def end_lines(connection: socket.socket, data: bytes) -> None:
    """Send these lines in one chunk, and the end of the body."""
    connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n\r\n")
