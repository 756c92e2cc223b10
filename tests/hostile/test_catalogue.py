"""No hostile request stops the server: each gets its documented answer, and /ping is answered meanwhile."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.hostile.catalogue import HOSTILE, HOSTILE_MULTI_MODEL, HostileRequest, question, request
from tests.hostile.exchange import exchange
from tests.hostile.ping_delay import ATTEMPTS, check_delay, delays_during
from tests.server.questions import ANSWER
from tests.server.server_process import server_processes
from tools.local_server import LocalServer

PAUSE_SECONDS = 1.0


@pytest.fixture(scope="module")
def endpoint(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a multi-model endpoint whose model is called `first`."""
    folder = tmp_path_factory.mktemp("endpoint")
    with LocalServer(folder / "nothing", {"SAGEMAKER_MULTI_MODEL": "true"}, folder / "log") as server:
        body = f'{{"model_name": "first", "url": "{demo_dir}"}}'.encode()
        assert [each.status for each in exchange(server.port, request(body, path="/models"))] == [200]
        yield server


def check(port: int, hostile: HostileRequest) -> None:
    """Send a hostile request; check its answer, the delay of /ping meanwhile, and that the server still answers."""
    data = hostile.make()
    statuses: list[int] = []

    def send() -> None:
        statuses.extend(each.status for each in exchange(port, data, method=hostile.method))

    check_delay(port, send)
    assert statuses, "the server closed the connection without an answer"
    assert set(statuses) <= hostile.statuses


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda each: each.name)
def test_a_hostile_request_gets_its_answer_and_delays_nobody(server: LocalServer, hostile: HostileRequest) -> None:
    check(server.port, hostile)
    (answer,) = exchange(server.port, request(question()))
    assert (answer.status, answer.json()["answer"]) == (200, ANSWER)


@pytest.mark.parametrize("hostile", HOSTILE_MULTI_MODEL, ids=lambda each: each.name)
def test_a_hostile_request_to_a_multi_model_endpoint(endpoint: LocalServer, hostile: HostileRequest) -> None:
    check(endpoint.port, hostile)
    (answer,) = exchange(endpoint.port, request(question(), path="/models/first/invoke"))
    assert (answer.status, answer.json()["answer"]) == (200, ANSWER)


def test_the_measured_delay_is_that_of_a_server_that_pauses(server: LocalServer) -> None:
    """The control of the measurement: a pause of the HTTP process is seen in full, and an idle server is prompt."""
    worker = psutil.Process(server_processes(server).worker.pid)

    def pause() -> None:
        worker.suspend()
        time.sleep(PAUSE_SECONDS)
        worker.resume()

    def is_seen() -> bool:
        delays = delays_during(server.port, pause)
        is_prompt = delays.control_seconds < PAUSE_SECONDS / 2
        return is_prompt and PAUSE_SECONDS * 0.9 < delays.seconds < PAUSE_SECONDS * 2

    assert any(is_seen() for _ in range(ATTEMPTS))
