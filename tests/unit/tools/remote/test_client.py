"""The client of a server, against what a server or a proxy in front of it may answer."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tools.errors import RequestRefused, ToolError
from tools.remote.client import ServerClient

Response = tuple[int, dict[str, str], bytes]


@contextmanager
def answering(*responses: Response) -> Iterator[str]:
    """A server that gives these responses, one after the other; its URL."""
    remaining = list(responses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = remaining.pop(0)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("retry_after", ["0", "Wed, 21 Oct 2026 07:28:00 GMT", "inf", "-1", "nan"])
def test_a_busy_server_is_asked_again_whatever_it_says_of_the_time_to_wait(retry_after: str) -> None:
    with answering((429, {"Retry-After": retry_after}, b"{}"), (200, {}, b'{"answer": "x"}')) as url:
        assert ServerClient(url)(b"{}") == b'{"answer": "x"}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": "question: has no words"}', "question: has no words"),
        (b'{"error": ["a", "b"]}', "['a', 'b']"),
        (b"<html>\n<body>\r\n  Bad Gateway\n" + b"x" * 5000, "<html> <body> Bad Gateway xxx"),
        (b"\xff\xfe", "\ufffd"),
        (b"[]", "[]"),
        (b"", ""),
    ],
)
def test_a_refusal_becomes_one_line(body: bytes, reason: str) -> None:
    with answering((502, {}, body)) as url, pytest.raises(RequestRefused) as refused:
        ServerClient(url)(b"{}")
    assert refused.value.status == 502
    assert reason in refused.value.reason
    assert "\n" not in (message := str(refused.value))
    assert message.startswith(f"{url} answers 502: ")
    assert len(message) < 2200


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(ToolError, match=r"cannot reach http://127\.0\.0\.1:9: .*Is the server running"):
        ServerClient("http://127.0.0.1:9")(b"{}")
