"""JSON Lines of nothing stay cheap, and what they may cost has limits."""

import time
from pathlib import Path

import httpx

from tools.local_server import LocalServer

HEADERS = {"content-type": "application/jsonlines"}


def post(server: LocalServer, content: bytes) -> httpx.Response:
    return httpx.post(f"{server.url}/invocations", content=content, headers=HEADERS, timeout=60)


def test_a_megabyte_of_newlines_is_answered_by_a_megabyte_of_newlines(server: LocalServer) -> None:
    start = time.perf_counter()
    response = post(server, b"\n" * 1_000_000)
    assert response.status_code == 200
    assert response.content == b"\n" * 1_000_000
    assert time.perf_counter() - start < 30  # it would be minutes if each line were a request of its own


def test_blank_lines_keep_their_places(server: LocalServer) -> None:
    response = post(server, b"\n\n{broken\n\n \r\n{broken\n\n")
    assert [bool(line) for line in response.content.split(b"\n")] == [
        False,
        False,
        True,
        False,
        False,
        True,
        False,
        False,
    ]


def test_the_deadline_and_the_spool_cover_lines_that_fail(demo_dir: Path, tmp_path: Path) -> None:
    environment = {"REQUEST_TIMEOUT_SECONDS": "8", "MAX_SPOOL_MB": "1"}
    with LocalServer(demo_dir, log=tmp_path / "log", environment=environment) as server:
        server.wait_until_ready()
        response = post(server, b"x\n" * 10_000)
        assert (response.status_code, response.json()["error_type"]) == (413, "payload_too_large")

        def slow():  # type: ignore[no-untyped-def]
            for _ in range(120):
                yield b"x\n"
                time.sleep(0.1)

        response = httpx.post(f"{server.url}/invocations", content=slow(), headers=HEADERS, timeout=60)
        assert (response.status_code, response.json()["error_type"]) == (504, "deadline_exceeded")
