"""Work on the text of a large request delays nobody, is bounded, and ends with its request."""

import contextlib
import json
import threading

import httpx
import psutil
import pytest

from tests.hostile.ping_delay import check_delay
from tests.server.questions import BODY, QUESTION
from tests.server.server_process import command_of, server_processes
from tests.waiting import wait_until
from tools.local_server import LocalServer

SENTENCE = "The harbour office kept careful records of every ship that came in. "
JSON = {"content-type": "application/json"}


def body(question: str, context: str, **parameters: int) -> bytes:
    return json.dumps({"question": question, "context": context, "parameters": parameters}).encode()


@pytest.mark.parametrize(
    ("content", "status", "error_type"),
    [
        (body(QUESTION, "x" * 4_000_000), 200, None),
        (body("why " * 1_000_000, "a b"), 422, "invalid_request"),
        (b'{"instances":[' + b'{"question":"a","context":"b"},' * 200_000 + b"{}]}", 413, "payload_too_large"),
        (b'{"instances":[' + b'"",' * 2_000_000 + b"{}]}", 413, "payload_too_large"),
        (body("a", "b " * 300_000, doc_stride=379), 422, "document_too_long"),
        (body("a", ("abcdefghij" * 7 + " ") * 19, top_k=100, max_answer_len=512), 200, None),
    ],
    ids=["no spaces", "long question", "many items", "many values", "doc_stride", "long words"],
)
def test_one_request_never_delays_a_ping(
    server: LocalServer, content: bytes, status: int, error_type: str | None
) -> None:
    responses: list[httpx.Response] = []
    check_delay(
        server.port,
        lambda: responses.append(httpx.post(f"{server.url}/invocations", content=content, headers=JSON, timeout=60)),
    )
    for response in responses:  # several, if the machine was busy with something else
        assert response.status_code == status, response.text
        assert response.json().get("error_type") == error_type


def test_a_large_body_gives_the_same_answer_as_a_small_one(client: httpx.Client) -> None:
    """White space has no tokens, so both bodies have the same windows."""
    small = client.post("/invocations", json=BODY).json()
    large = client.post("/invocations", json={**BODY, "context": BODY["context"] + " " * 100_000}).json()
    assert large == {**small, "score": pytest.approx(small["score"], abs=1e-6)}


def text_processes(server: LocalServer) -> list[psutil.Process]:
    children = server_processes(server).worker.children()
    return [process for child in children if "serve.text_worker" in command_of(child) for process in child.children()]


def test_the_text_process_ends_when_its_client_leaves(patient_server: LocalServer) -> None:
    content = body(QUESTION, SENTENCE * 3000)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{patient_server.url}/invocations", content=content, headers=JSON, timeout=httpx.Timeout(60, read=1)
        )
    wait_until("no text process is left", lambda: not text_processes(patient_server))


def test_a_text_process_that_is_killed_harms_no_other_request(patient_server: LocalServer) -> None:
    responses: list[httpx.Response] = []

    def ask() -> None:
        content = body(QUESTION, SENTENCE * 3000)
        responses.append(httpx.post(f"{patient_server.url}/invocations", content=content, headers=JSON, timeout=60))

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until("a text process runs", lambda: bool(text_processes(patient_server)))
    for process in text_processes(patient_server):
        with contextlib.suppress(psutil.NoSuchProcess):  # one of another test, which has just ended
            process.kill()
    asking.join()
    assert (responses[0].status_code, responses[0].json()["error_type"]) == (500, "inference_failed")
    assert httpx.post(f"{patient_server.url}/invocations", json=BODY).status_code == 200
    content = body(QUESTION, " " * 100_000 + BODY["context"])
    assert httpx.post(f"{patient_server.url}/invocations", content=content, headers=JSON, timeout=60).status_code == 200
