"""A peer on a real socket that answers AWS's requests by a script, for APIs that moto does not have.

Each answer is a function of the request's parameters. A request without an answer gets AWS's error for a missing
permission, so that every request of a test is in its script.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

Answer = Callable[[dict[str, Any]], "dict[str, Any] | str | None"]


class Peer(ThreadingHTTPServer):
    """The peer. `received` lists the operations of its requests."""

    daemon_threads = True

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.received: list[str] = []

    def answer(self, operation: str, asked: dict[str, Any]) -> tuple[int, str]:
        """Return the status and the body for one request."""
        self.received.append(operation)
        if operation not in self.answers:
            text = f"not authorized to perform {operation}"
            xml = f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{text}</Message></Error></ErrorResponse>"
            return 403, xml if "Action" in asked else json.dumps({"__type": "AccessDeniedException", "message": text})
        found = self.answers[operation](asked)
        if found is None:
            return 404, ""
        if isinstance(found, str):
            return 200, found
        return 400 if "__type" in found else 200, json.dumps(found)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Peer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        asked = json.loads(body) if target else dict(parse_qsl(body))
        self._send(*self.server.answer(target or asked.get("Action", ""), asked))

    def do_HEAD(self) -> None:
        self._send(*self.server.answer("HeadBucket", {"path": self.path}))

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running(answers: dict[str, Answer]) -> Iterator[tuple[str, list[str]]]:
    """Run the peer; yield its URL and the operations that it has received.

    A dict is answered as JSON, a text as XML; None is an answer without a body and with status 404.
    """
    peer = Peer(answers)
    thread = threading.Thread(target=peer.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{peer.server_port}", peer.received
    finally:
        peer.shutdown()
        peer.server_close()
        thread.join()
