"""No request makes the server need much memory, and what it needed is free again afterwards."""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.catalogue import MB, HostileRequest, question, request
from tests.hostile.exchange import Received, exchange
from tests.hostile.large_requests import LARGE, SENTENCE
from tests.hostile.memory_growth import MemoryProcess, server_bytes
from tests.hostile.ping_delay import check_delay
from tests.server.questions import ANSWER
from tools.local_server import LocalServer

FIXED_BYTES = 20 * MB
BYTES_PER_BYTE = 12  # of the request
IDLE_GROWTH = 1.2
IDLE_SECONDS = 60  # 5 are enough unless the machine is busy with something else
BODIES_MB = 8
TIMEOUT_SECONDS = 30  # a request that is not refused delays the test by this much at most
MEMORY_PER_BODY_BYTE = 64  # serve/http/limits.py: the bodies may take a 64th of the memory
ENVIRONMENT = {"PRECISIONS": "INT8", "REQUEST_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS)}
# Each of these has another cause to need memory; the soak runs all of LARGE.
FEW_NAMES = {
    *("4 MB without spaces", "2 MB of text", "80 KB of text", "25 MB of punctuation", "24 MB with one emoji"),
    *("24 MB of escapes", "doc_stride 379", "long answers over a long document", "100 long answers to 4 MB"),
    *(
        "6 MB of tiny items",
        "5,000 items with parameters",
        "400 items with many answers each",
        "24 MB of empty strings",
    ),
    *("a million keys", "24 MB of nested lists", "one number of 24 MB", "many unknown parameters", "1 MB of newlines"),
}
FEW = [each for each in LARGE if each.name in FEW_NAMES]


@pytest.fixture(scope="module")
def server(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a server that has had no large request yet."""
    log = tmp_path_factory.mktemp("memory") / "log"
    with LocalServer(demo_dir, ENVIRONMENT, log) as running:
        running.wait_until_warm()
        assert exchange(running.port, request(question()))[0].json()["answer"] == ANSWER
        yield running


@pytest.fixture(scope="module")
def idle_bytes(server: LocalServer) -> int:
    """Return the memory of the server before its first large request."""
    return server_bytes(server.process.pid)


def check_idle(server: LocalServer, idle_bytes: int) -> None:
    """Wait until the memory is back."""
    due = time.monotonic() + IDLE_SECONDS
    while (now_bytes := server_bytes(server.process.pid)) > idle_bytes * IDLE_GROWTH and time.monotonic() < due:
        time.sleep(0.1)
    assert now_bytes <= idle_bytes * IDLE_GROWTH


@pytest.mark.parametrize("hostile", LARGE if os.environ.get("SOAK") else FEW, ids=lambda each: each.name)
def test_one_request_needs_little_memory_and_delays_nobody(
    server: LocalServer, idle_bytes: int, hostile: HostileRequest
) -> None:
    data = hostile.make()
    received: list[Received] = []
    with MemoryProcess(server.process.pid) as memory:
        check_delay(server.port, lambda: received.extend(exchange(server.port, data)))
    sizes = f"{len(data) / MB:.2f} MB, memory grew by {memory.growth_bytes / MB:.1f} MB"
    print(f"{hostile.name}: {sizes}; status {received[0].status}")
    assert {response.status for response in received} <= hostile.statuses
    assert memory.growth_bytes <= FIXED_BYTES + BYTES_PER_BYTE * len(data)
    check_idle(server, idle_bytes)
    assert exchange(server.port, request(question()))[0].json()["answer"] == ANSWER


def test_many_large_requests_at_once_need_less_than_a_quarter_of_the_memory(demo_dir: Path, tmp_path: Path) -> None:
    """The bodies may take 8 MiB together, as in a container of 512 MiB. Half of the requests fit in."""
    environment = {**ENVIRONMENT, "MAX_BODIES_MB": str(BODIES_MB)}
    data = request(json.dumps({"question": "Who?", "context": SENTENCE * (MB // len(SENTENCE))}).encode())
    with LocalServer(demo_dir, environment, tmp_path / "log") as server:
        statuses: list[int] = []
        clients = [
            threading.Thread(target=lambda: statuses.extend(each.status for each in exchange(server.port, data)))
            for _ in range(12)
        ]
        with MemoryProcess(server.process.pid) as memory:
            for client in clients:
                client.start()
            for client in clients:
                client.join()
        assert set(statuses) <= {200, 422, 429, 504}
        assert 429 in statuses
        assert memory.growth_bytes <= BODIES_MB * 2**20 * MEMORY_PER_BODY_BYTE / 4
