"""Send any bytes to a server, and read the responses. A response that is not valid HTTP is an error."""

import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import h11


@dataclass
class Received:
    """A final response."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


def exchange(port: int, data: bytes, count: int = 1, seconds: float = 120, method: str = "POST") -> list[Received]:
    """Send bytes on a new connection, and read up to `count` responses, fewer if the server closes the connection.

    The bytes are sent in a thread, because a server may answer and close before it has read them all.

    Raises: TimeoutError if the server is silent for `seconds`; h11.RemoteProtocolError if a response is not valid HTTP.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        sender = threading.Thread(target=_send, args=(connection, data), daemon=True)
        sender.start()
        try:
            return read_responses(connection, count, method)
        finally:
            _shut_down(connection)  # which also ends a sender whose peer no longer reads
            sender.join(seconds)


def read_responses(
    connection: socket.socket, count: int, method: str = "POST", into: list[Received] | None = None
) -> list[Received]:
    """Read up to `count` responses from a connection, fewer if the server closes it.

    The list `into` has the responses also if a later one raises an error.
    """
    client = h11.Connection(h11.CLIENT)
    responses: list[Received] = [] if into is None else into
    while len(responses) < count:
        # h11 must believe that it sent a request, before it reads the response.
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x"), ("Content-Length", "0")]))
        client.send(h11.EndOfMessage())
        response = _read_response(connection, client)
        if response is None:
            break
        responses.append(response)
        if client.our_state is not h11.DONE or client.their_state is not h11.DONE:
            break  # the response says that the connection closes
        client.start_next_cycle()
    return responses


def _read_response(connection: socket.socket, client: h11.Connection) -> Received | None:
    response, body = None, bytearray()
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            data = _receive(connection)
            if not data and response is None and not client.trailing_data[0]:
                return None
            client.receive_data(data)
        elif isinstance(event, h11.Response):
            headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            response = Received(event.status_code, headers)
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert response
            response.body = bytes(body)
            return response


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:  # the server closed the connection before it had read everything
        return b""


def _send(connection: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # the server has answered and closed the connection
        connection.sendall(data)


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # the server has closed it already
        connection.shutdown(socket.SHUT_RDWR)
