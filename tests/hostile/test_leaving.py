"""A client that leaves, with other requests behind the one that is being answered."""

import json
import time
from collections.abc import Callable
from itertools import count

import httpx
import pytest

from tests.hostile.raw_client import RawClient
from tests.server.questions import LONG_TEXT, QUESTION
from tests.server.server_process import queued_windows, row_of_request
from tests.waiting import wait_until
from tools.local_server import LocalServer

Connect = Callable[[LocalServer], RawClient]
MIB = 2**20
NUMBERS = count(1)


def head(size: int, request_id: str = "behind") -> bytes:
    lines = ("POST /invocations HTTP/1.1", "Host: x", f"X-Request-Id: {request_id}", f"Content-Length: {size}", "", "")
    return "\r\n".join(lines).encode()


def document(repeats: int, request_id: str = "behind") -> bytes:
    body = json.dumps({"question": QUESTION, "context": LONG_TEXT * repeats}).encode()
    return head(len(body), request_id) + body


BEHIND = {
    "a request": b"GET /ping HTTP/1.1\r\n\r\n",
    "a document": document(12),
    "half a body": head(MIB) + b"x" * (MIB // 2),
    "half a head": b"GET /pi",
    "nonsense": b"NONSENSE\r\n\r\n",
}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
@pytest.mark.parametrize("is_later", [False, True])
def test_all_requests_of_a_client_that_leaves_are_cancelled(
    patient_server: LocalServer, connect: Connect, behind: bytes, is_later: bool
) -> None:
    client, request_id = connect(patient_server), f"leaver-{next(NUMBERS)}"
    client.send(document(12, request_id) + (b"" if is_later else behind))
    wait_until("the request waits in the queue", lambda: queued_windows(patient_server) > 20, poll_seconds=0)
    if is_later:
        client.send(behind)
        time.sleep(0.1)
    client.close()
    wait_until("its windows have left the queue", lambda: queued_windows(patient_server) == 0)
    assert row_of_request(patient_server, request_id)["status"] == 499  # it would be 200 if all windows had run
    time.sleep(0.2)
    assert queued_windows(patient_server) == 0  # the document behind it has not begun
    assert httpx.get(f"{patient_server.url}/ping").status_code == 200
