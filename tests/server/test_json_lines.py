"""JSON Lines are answered line by line, as a stream, in bounded memory."""

import json
import socket
import threading
from codecs import BOM_UTF8
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import orjson
import psutil
import pytest

from tests.server.questions import ANSWER, CONTEXT, LONG_TEXT, QUESTION
from tests.server.server_process import log_rows, queued_windows
from tests.waiting import wait_until
from tools.local_server import LocalServer
from tools.process_tree import ProcessTree

LINE = orjson.dumps({"question": "Who built it?", "context": "Zoë Müller built the lighthouse. " + "\t" * 3000}) + b"\n"
HEADERS = {"content-type": "application/jsonlines"}
SEND_BYTES = 5 * 2**20
MAX_GROWTH_BYTES = 150 * 2**20  # of the memory of all processes, compared with an idle server


@pytest.mark.parametrize("name", ["application/jsonlines", "application/x-ndjson"])
def test_each_line_gets_one_line_in_the_same_order(client: httpx.Client, name: str) -> None:
    lines = [
        orjson.dumps({"question": QUESTION, "context": CONTEXT}),
        b"{broken",
        orjson.dumps({"inputs": {"question": "How tall is it?", "context": CONTEXT}}),
        b"",
        orjson.dumps({"question": QUESTION, "context": CONTEXT, "version": "BF16"}),
        orjson.dumps({"instances": [{"question": QUESTION, "context": CONTEXT}]}),
    ]
    response = client.post("/invocations", content=b"\n".join(lines) + b"\n", headers={"content-type": name})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/jsonlines"
    answers = [json.loads(line or "null") for line in response.text.splitlines()]
    assert len(answers) == len(lines)
    assert answers[0]["answer"] == ANSWER
    assert answers[1]["error_type"] == "malformed_body"
    assert answers[2]["answer"].startswith("42")
    assert answers[3] is None
    assert answers[4]["error_type"] == "precision_unavailable"
    assert answers[5]["predictions"][0]["answer"] == ANSWER


def test_a_byte_order_mark_costs_no_line(client: httpx.Client) -> None:
    lines = orjson.dumps({"question": QUESTION, "context": CONTEXT}) + b"\n"
    response = client.post("/invocations", content=BOM_UTF8 + lines * 2, headers=HEADERS)
    assert [json.loads(line)["answer"] for line in response.text.splitlines()] == [ANSWER, ANSWER]


def test_an_asynchronous_endpoint_answers_large_and_simultaneous_requests(demo_dir: Path, tmp_path: Path) -> None:
    """JSON Lines are larger than MAX_PAYLOAD_MB, and three long documents come at once to a short queue."""
    environment = {"ASYNC_INFERENCE": "true", "MAX_PAYLOAD_MB": "1", "MAX_QUEUE_SECONDS": "0.001", "NARROW_LANES": "1"}
    document = orjson.dumps({"question": QUESTION, "context": "Zoë Müller built the lighthouse. " * 5000})
    with LocalServer(demo_dir, log=tmp_path / "log", environment=environment) as server:
        url = f"{server.url}/invocations"

        def ask(body: bytes, media_type: str) -> int:
            return httpx.post(url, content=body, headers={"Content-Type": media_type}, timeout=600).status_code

        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(ask, document, "application/json") for _ in range(3)]
            assert [one.result() for one in asked] == [200, 200, 200]
        assert ask(LINE * (2 * 2**20 // len(LINE)), "application/jsonlines") == 200
        assert ask(document + b" " * 2**20, "application/json") == 413


def test_a_large_batch_needs_little_memory(demo_dir: Path, tmp_path: Path) -> None:
    """The body is larger than MAX_PAYLOAD_MB, every tenth line is bad, and other requests are answered meanwhile."""
    count = SEND_BYTES // len(LINE)

    def body() -> Iterator[bytes]:
        for number in range(count):
            yield b"{broken\n" if number % 10 == 3 else LINE

    environment = {"SAGEMAKER_BATCH": "True", "MAX_PAYLOAD_MB": "1", "MAX_QUEUE_SECONDS": "0.001"}
    with LocalServer(demo_dir, log=tmp_path / "log", environment=environment) as server:
        server.wait_until_warm()
        tree = ProcessTree(psutil.Process(server.process.pid))
        idle = tree.memory_bytes()
        peak, done = idle, threading.Event()
        statuses: list[int] = []  # of the other requests

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.2):
                peak = max(peak, tree.memory_bytes())
                statuses.append(httpx.post(url, content=LINE, headers=HEADERS, timeout=60).status_code)

        url = f"{server.url}/invocations"
        watching = threading.Thread(target=watch)
        watching.start()
        response = httpx.post(url, content=body(), headers=HEADERS, timeout=300)
        done.set()
        watching.join()
    assert set(statuses) == {200}
    assert response.status_code == 200
    answers = [orjson.loads(line) for line in response.text.splitlines()]
    assert len(answers) == count
    for number, answer in enumerate(answers):
        assert ("error_type" in answer) == (number % 10 == 3)
    assert peak - idle <= MAX_GROWTH_BYTES


def test_the_windows_of_a_client_that_disconnects_leave_the_queue(server: LocalServer) -> None:
    line = orjson.dumps({"question": "Who kept records?", "context": LONG_TEXT * 13}) + b"\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/jsonlines\r\n")
        connection.sendall(b"x-amzn-sagemaker-inference-id: leaver\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(20):
            connection.sendall(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        wait_until("a line waits in the queue", lambda: queued_windows(server) > 0)
    wait_until("all windows have left the queue", lambda: queued_windows(server) == 0)

    def is_logged() -> bool:
        assert server.log
        rows = [row for row in log_rows(server.log.read_text()) if row.get("request_id") == "leaver"]
        return any(row.get("error") == "client_gone" for row in rows)

    wait_until("the log says that the client has gone", is_logged)
