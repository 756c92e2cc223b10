"""The health check's exit code follows the status of /ping."""

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from container import healthcheck


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /ping with the server's status, and every other path with 404."""

    def do_GET(self) -> None:
        self.server.authorization = self.headers["Authorization"]  # type: ignore[attr-defined]
        self.send_response(self.server.ping_status if self.path == "/ping" else 404)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[http.server.HTTPServer]:
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", str(listening.server_port))
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "exit_code"), [(200, 0), (503, 1), (404, 1), (500, 1)])
def test_the_exit_code_is_0_only_if_ping_returns_200(
    server: http.server.HTTPServer, status: int, exit_code: int
) -> None:
    server.ping_status = status  # type: ignore[attr-defined]
    assert healthcheck.main() == exit_code


def test_the_exit_code_is_1_if_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:  # it never listens, so a connection to its port is refused
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", str(bound.getsockname()[1]))
        assert healthcheck.main() == 1


def test_no_proxy_is_asked(server: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.ping_status = 200  # type: ignore[attr-defined]
    with socket.socket() as bound:  # nothing listens at the proxy
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{bound.getsockname()[1]}")
        assert healthcheck.main() == 0


@pytest.mark.parametrize(("is_exempt", "authorization"), [("true", None), ("false", "Bearer first-of-two-keys")])
def test_a_ping_that_needs_a_key_gets_one(
    server: http.server.HTTPServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    is_exempt: str,
    authorization: str | None,
) -> None:
    (tmp_path / "keys").write_text("first-of-two-keys\nsecond-of-two-keys\n")
    monkeypatch.setenv("API_KEY_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("PING_WITHOUT_KEY", is_exempt)
    server.ping_status = 200  # type: ignore[attr-defined]
    assert healthcheck.main() == 0
    assert server.authorization == authorization  # type: ignore[attr-defined]
