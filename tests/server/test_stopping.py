"""SIGTERM ends the server, but only after it has answered the requests that it accepted."""

import concurrent.futures
import signal
import socket
import threading
from pathlib import Path

import httpx
import pytest

from tests.hostile.exchange import read_responses
from tests.server.questions import long_body, post
from tests.server.server_process import metric_lines, server_processes
from tests.waiting import wait_until
from tools.local_server import LocalServer


def in_flight(server: LocalServer) -> float:
    """Return how many requests are in work."""
    (line,) = metric_lines(server, "bertqa_requests_in_flight ")
    return float(line.split()[-1])


def test_accepted_requests_are_answered_after_sigterm(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, log=tmp_path / "log") as server:
        limits = httpx.Limits(max_connections=8)
        with (
            httpx.Client(base_url=server.url, timeout=60, limits=limits) as client,
            concurrent.futures.ThreadPoolExecutor(8) as pool,
        ):
            asked = [pool.submit(client.post, "/invocations", json=long_body(120)) for _ in range(8)]
            wait_until(
                "the server has accepted all eight",
                lambda: in_flight(server) == 8 or all(each.done() for each in asked),
            )
            found = server_processes(server)
            server.process.send_signal(signal.SIGTERM)
            assert [future.result().status_code for future in asked] == [200] * 8
        assert server.stop() == 0
        everyone = [found.worker, found.zygote, *found.lanes]
        wait_until("every process has ended", lambda: not any(process.is_running() for process in everyone))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_signal_to_the_master_alone_ends_the_server_like_sigterm(
    demo_dir: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """A terminal sends SIGINT to every process of the server. docker without a terminal sends it to the first one."""
    with LocalServer(demo_dir, {"PRECISIONS": "INT8"}, log=tmp_path / "log") as server:
        asked: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: asked.append(post(server, long_body(120))))
        asking.start()
        wait_until("the server has accepted the question", lambda: in_flight(server) == 1 or bool(asked))
        server.process.send_signal(number)
        assert server.process.wait(60) == 0
        asking.join()
    assert asked[0].status_code == 200
    assert "SIGKILL" not in (tmp_path / "log").read_text()


def test_a_request_that_cannot_be_answered_before_the_server_has_to_stop_is_told_so(
    demo_dir: Path, tmp_path: Path
) -> None:
    """It takes the 23 s of the drain. Without the error, the client would get status 500, or a closed connection."""
    with LocalServer(demo_dir, log=tmp_path / "log") as server:
        server.wait_until_ready()
        connections = []
        for media_type in ("application/json", "application/jsonlines"):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
            head = f"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\nContent-Length: 100\r\n\r\n"
            connection.sendall(head.encode() + b'{"question": "Wh')
            connections.append(connection)
        assert httpx.get(f"{server.url}/ping").status_code == 200  # by now, the server has read what came before
        server.process.send_signal(signal.SIGTERM)
        for connection in connections:
            (response,) = read_responses(connection, 1)
            assert (response.status, response.json()["error_type"]) == (503, "not_ready")
            assert "send it again" in response.json()["error"]
            connection.close()
        assert server.process.wait(60) == 0


def test_sigterm_ends_a_server_that_is_still_loading(demo_dir: Path, tmp_path: Path) -> None:
    server = LocalServer(demo_dir, log=tmp_path / "log")
    wait_until("the port is open", lambda: "Listening" in (tmp_path / "log").read_text())
    assert server.stop() == 0
