"""One pod's life on Kubernetes with the timings of deploy/kubernetes.yaml: a slow start, load, and its deletion."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.server.kubelet import CONTAINER, Clients, Ending, Probe, Service, delete_pod, stop_container
from tests.server.questions import long_body
from tests.waiting import wait_until
from tools.local_server import LocalServer

CLIENTS = 8
HELD_UP_CALLS = 2  # of the startup probe


@dataclass
class Life:
    """What happened to the pod."""

    startup: Probe
    readiness: Probe
    liveness: Probe
    clients: Clients
    ending: Ending


@pytest.fixture(scope="module")
def pod(
    server: LocalServer, demo_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalServer, Life]]:
    """Start a server whose start is held up, load it beside another pod of the Service, and delete it under load."""
    log = tmp_path_factory.mktemp("pod") / "log"
    running = LocalServer(demo_dir, log=log)
    startup, readiness, liveness = (Probe(f"{name}Probe", running) for name in ("startup", "readiness", "liveness"))
    try:
        _start_slowly(running, log, startup)
        service = Service([running, server])
        with Clients(service, long_body(150), CLIENTS) as clients:
            with readiness.running(), liveness.running():
                deleted_at = delete_pod(running, service)
            ending = stop_container(running, deleted_at)
        yield running, Life(startup, readiness, liveness, clients, ending)
    finally:
        running.stop()


def _start_slowly(server: LocalServer, log: Path, startup: Probe) -> None:
    """Hold the server's start up for calls of the startup probe, by stopping its processes while the model loads."""
    wait_until("the port is open", lambda: "Listening" in log.read_text())
    stopped = _suspend_tree(psutil.Process(server.process.pid))
    try:
        for _ in range(HELD_UP_CALLS):
            startup.call()
            time.sleep(startup.seconds)
    finally:
        for process in reversed(stopped):
            process.resume()
    startup.until_success()


def _suspend_tree(parent: psutil.Process) -> list[psutil.Process]:
    """Stop a process, then its children, and so on. One that is stopped starts no more children, so none is missed."""
    parent.suspend()
    is_still = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)  # the zygote reaps its ended children later
    wait_until(f"{parent.pid} is stopped", lambda: parent.status() in is_still)
    return [parent, *(each for child in parent.children() for each in _suspend_tree(child))]


def test_a_slow_start_does_not_end_the_server(pod: tuple[LocalServer, Life]) -> None:
    _, life = pod
    assert life.startup.results[:HELD_UP_CALLS] == [False] * HELD_UP_CALLS
    assert life.startup.results[-1]
    assert not life.startup.has_failed


def test_a_busy_server_passes_its_probes(pod: tuple[LocalServer, Life]) -> None:
    server, life = pod
    answered = [answer for answer in life.clients.answers if answer.server is server]
    in_work = [sum(one.sent_at <= each.sent_at < one.answered_at for one in answered) for each in answered]
    assert max(in_work) >= CLIENTS // 2, "the server was not busy"
    assert life.readiness.results == [True] * len(life.readiness.results)
    _, seconds = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert len(life.readiness.results) >= int(seconds) // life.readiness.seconds
    assert life.liveness.results == [True] * len(life.liveness.results)


def test_a_pod_that_is_deleted_under_load_loses_no_request(pod: tuple[LocalServer, Life]) -> None:
    server, life = pod
    assert life.clients.lost == []
    assert {answer.status for answer in life.clients.answers} == {200}
    ending = life.ending
    of_pod = [answer for answer in life.clients.answers if answer.server is server]
    assert any(answer.sent_at > ending.deleted_at for answer in of_pod), "it accepted nothing after its deletion"
    in_work = [answer for answer in of_pod if answer.sent_at < ending.stopped_at < answer.answered_at]
    assert in_work, "no request was in work when it got SIGTERM"
    assert max(answer.answered_at for answer in in_work) <= ending.ended_at
    assert any(answer.server is not server and answer.sent_at > ending.stopped_at for answer in life.clients.answers)


def test_the_pod_ends_by_itself_before_it_would_be_killed(pod: tuple[LocalServer, Life]) -> None:
    _, life = pod
    assert life.ending.exit_code == 0
