"""A client that sends any bytes."""

import contextlib
import json
import select
import socket
from dataclasses import dataclass
from typing import Any

from tools.local_server import LocalServer


@dataclass
class Response:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """A connection on which a test sends any bytes."""

    def __init__(self, server: LocalServer, seconds: float = 60) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=seconds)
        self._received = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_quietly(self, data: bytes) -> None:
        """Send bytes to a server that may have refused the request already, and that drops what follows."""
        with contextlib.suppress(OSError):
            self.send(data)

    def response(self) -> Response:
        """Read one response."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return Response(int(status_line.split()[1]), headers, body)

    def has_response(self, seconds: float = 0.2) -> bool:
        """Return whether a response has begun to arrive."""
        readable, _, _ = select.select([self.socket], [], [], seconds)
        return bool(readable)

    def is_closed(self) -> bool:
        """Wait until the server closes the connection; return whether it sent nothing before."""
        try:
            return not self._received and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        assert data, f"the server closed the connection after {self._received[:200]!r}"
        self._received += data


def check_error(response: Response, status: int, error_type: str) -> None:
    """Check that an error has the documented body and headers."""
    assert (response.status, response.json()["error_type"]) == (status, error_type)
    assert set(response.json()) == {"error_type", "error", "request_id"}
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"] == response.json()["request_id"]
    attributes = response.headers["x-amzn-sagemaker-custom-attributes"]
    assert attributes.endswith(f"request_id={response.json()['request_id']}")
