"""Requests at the same time get their own answers, and a limit holds for each request and for the queue."""

import concurrent.futures
import contextlib
import json
import re
import socket
from pathlib import Path

import httpx
import psutil

from tests.server.questions import ANSWER, BODY, CONTEXT, LONG_TEXT, QUESTION, ask, long_body, post
from tests.server.server_process import queued_windows, row_of_request, server_processes
from tests.waiting import wait_until
from tools.local_server import LocalServer

ATTEMPTS = 5


def test_concurrent_requests_of_both_precisions_get_their_own_answers(client: httpx.Client) -> None:
    names = [f"Person{i:02d}" for i in range(40)]

    def check_answer(index: int) -> None:
        context = f"The lighthouse was built by {names[index]} in {1800 + index}. " + "It rained. " * (index * 6)
        version = "FP32" if index % 3 == 0 else "INT8"
        body = ask(client, question=QUESTION, context=context, version=version)
        assert names[index] in body["answer"]
        assert body["version"] == version

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(check_answer, range(len(names))))


def test_a_short_question_does_not_wait_for_a_book(patient_server: LocalServer) -> None:
    def is_answered_before_a_book() -> bool:
        book = pool.submit(ask, client, question=QUESTION, context=LONG_TEXT * 8 + CONTEXT)
        wait_until("the book waits", lambda: queued_windows(patient_server) > 0 or book.done(), poll_seconds=0)
        short = ask(client, question=QUESTION, context=CONTEXT)
        is_first = not book.done()
        assert short["answer"] == ANSWER
        assert book.result()["answer"] != ""
        return is_first

    # A busy machine may hold this process up until the server has answered the book.
    with (
        httpx.Client(base_url=patient_server.url, timeout=900) as client,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        assert any(is_answered_before_a_book() for _ in range(ATTEMPTS))


def test_the_windows_of_a_client_that_disconnects_leave_the_queue(patient_server: LocalServer) -> None:
    body = json.dumps({"question": QUESTION, "context": LONG_TEXT * 10, "version": "FP32"}).encode()
    head = (
        "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"X-Amzn-SageMaker-Inference-Id: gone\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", patient_server.port)) as connection:
        connection.sendall(head.encode() + body)
        wait_until("the request waits in the queue", lambda: queued_windows(patient_server) > 0, poll_seconds=0)
    wait_until("its windows have left the queue", lambda: queued_windows(patient_server) == 0)
    assert row_of_request(patient_server, "gone")["status"] == 499  # it would be 200 if all windows had run


def test_a_request_that_takes_too_long_gets_504(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, {"REQUEST_TIMEOUT_SECONDS": "1", "RUNG_STEP": "128"}, log=tmp_path / "log") as server:
        server.wait_until_warm()
        lanes = server_processes(server).lanes
        for lane in lanes:
            lane.suspend()
        response = post(server, BODY)
        assert (response.status_code, response.json()["error_type"]) == (504, "deadline_exceeded")
        assert httpx.get(f"{server.url}/ping").status_code == 200
        for lane in lanes:
            with contextlib.suppress(
                psutil.NoSuchProcess
            ):  # it was stopped for so long that the server has replaced it
                lane.resume()
        wait_until("the server answers again", lambda: post(server, BODY).status_code == 200)


def test_requests_beyond_the_limit_of_the_queue_get_429_and_a_time_to_retry(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, {"MAX_QUEUE_SECONDS": "0.2", "RUNG_STEP": "128"}, log=tmp_path / "log") as server:
        server.wait_until_warm()
        body = {**long_body(400), "version": "FP32"}
        with (
            httpx.Client(base_url=server.url, timeout=60, limits=httpx.Limits(max_connections=50)) as client,
            concurrent.futures.ThreadPoolExecutor(50) as pool,
        ):
            asked = [pool.submit(client.post, "/invocations", json=body) for _ in range(50)]
            responses = [future.result() for future in asked]
            refused = [response for response in responses if response.status_code == 429]
            assert 0 < len(refused) < 50
            assert {response.status_code for response in responses} == {200, 429}
            assert all(response.json()["error_type"] == "overloaded" for response in refused)
            assert all(re.fullmatch("[1-9][0-9]*", response.headers["retry-after"]) for response in refused)
            assert client.get("/ping").status_code == 200
            assert client.post("/invocations", json=BODY).status_code == 200
