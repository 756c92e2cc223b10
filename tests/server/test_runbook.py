"""A new version with a worse model is started beside a server, and shows symptoms of the runbook.

A real Prometheus scrapes both, and the queries of the runbook's entries show each symptom. test_prometheus.py produces
refusals, timeouts, lost lanes and a server that has ended.
"""

import contextlib
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from container import contract
from tests.control_group import ControlGroup, NoControlGroup
from tests.hostile.exchange import read_responses
from tests.observability import Prometheus, prometheus, runbook_queries
from tests.program_copy import copy_program
from tests.server.guarded import accept_any_logits, damage, outcomes_after
from tests.server.server_process import error_messages, run_until_exit, zygote_of
from tests.server.slow_clients import begin_lines, end_lines, post_slowly
from tests.waiting import wait_until
from tools.local_server import LocalServer, free_port

NEW_VERSION = "99.0.0"
SETTINGS = {"GUARD_SHARE": "1", "GUARD_MIN_AGREEMENT": "0.9", "RUNG_STEP": "64"}
QUESTIONS = 130
MOST_THAT_AGREE = 0.8
SLOW_REQUESTS, PAUSE_SECONDS = 60, 2  # of 190 answers in all, 60 take more than the 0.5 s of the objective
NEWLINES = b"\n" * (20 * 2**20)  # more than the system buffers of a response that is not read
LOW_MEMORY_BYTES = 200e6  # of the alert BertQaMemory


@pytest.fixture(scope="module")
def new_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def running(server: LocalServer, new_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus([server.port, new_port], tmp_path_factory.mktemp("prometheus")) as started:
        yield started


@pytest.fixture(scope="module")
def damaged_dir(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the demo artifact and damage its INT8 model, so that it is served but gives worse answers."""
    artifact = Path(shutil.copytree(demo_dir, tmp_path_factory.mktemp("damaged") / "artifact"))
    damage(artifact)
    accept_any_logits(artifact)
    return artifact


@pytest.fixture(scope="module")
def memory() -> Iterator[ControlGroup | None]:
    """The control group of the new server; None if this system gives none."""
    try:
        group = ControlGroup("memory")
    except NoControlGroup:
        yield None
        return
    yield group
    group.close()


@pytest.fixture(scope="module")
def new_server(
    running: Prometheus,
    new_port: int,
    damaged_dir: Path,
    memory: ControlGroup | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalServer]:
    """A new version with the damaged model, which still loads."""
    folder = tmp_path_factory.mktemp("new")
    started = LocalServer(
        damaged_dir,
        {**SETTINGS, "PORT": str(new_port)},
        log=folder / "log",
        program_dir=copy_program(folder / "program", NEW_VERSION),
    )
    if memory:
        memory.add(started.process.pid)
    yield started
    if started.process.poll() is None:
        started.stop()


def labels(running: Prometheus, query: str, name: str) -> set[str]:
    """The values of a label in the result of a query."""
    return {sample["metric"].get(name, "") for sample in running.query(query)}


def of_server(running: Prometheus, query: str, server: LocalServer) -> float:
    """The value of a query that belongs to one server; NaN if there is none, as after a scrape that took too long."""
    instance = f"127.0.0.1:{server.port}"
    found = [float(each["value"][1]) for each in running.query(query) if each["metric"].get("instance") == instance]
    return found[0] if found else math.nan


def test_a_server_that_loads_its_model_is_not_ready(running: Prometheus, new_server: LocalServer) -> None:
    (query,) = runbook_queries("Not ready")
    zygote = zygote_of(new_server)
    zygote.suspend()
    wait_until("the query shows it", lambda: "bertqa_ready" in labels(running, query, "__name__"))
    with contextlib.suppress(psutil.NoSuchProcess):  # the server may have replaced it
        zygote.resume()
    new_server.wait_until_ready()
    new_server.wait_until_warm()
    wait_until("the query shows nothing more", lambda: running.query(query) == [])


def test_the_queries_show_both_versions_and_both_models(running: Prometheus, new_server: LocalServer) -> None:
    versions, models = runbook_queries("A deployment has failed")
    wait_until(
        "both versions are shown", lambda: labels(running, versions, "version") == {contract.VERSION, NEW_VERSION}
    )
    int8 = [each["metric"]["sha256"] for each in running.query(models) if each["metric"]["precision"] == "INT8"]
    assert len(int8) == len(set(int8)) == 2


def test_a_batch_whose_client_sends_or_reads_nothing_is_stuck(running: Prometheus, server: LocalServer) -> None:
    """Nobody else asks this server meanwhile."""
    (windows,) = runbook_queries("A batch is stuck")

    def shows(in_flight: float) -> bool:
        found = [
            of_server(running, query, server)
            for query in (windows, "bertqa_requests_in_flight", "bertqa_queue_windows")
        ]
        return found == [0.0, in_flight, 0.0]

    with begin_lines(server) as connection:
        wait_until("the queries show a request that sends nothing", lambda: shows(1))
        end_lines(connection, NEWLINES)
        wait_until("the queries show an answer that nobody reads", lambda: shows(0))
        assert of_server(running, "bertqa_connections", server) >= 2  # this one, and Prometheus' own
        (response,) = read_responses(connection, 1)
        assert (response.status, response.body) == (200, NEWLINES)


def test_a_damaged_model_disagrees_with_fp32_and_causes_one_warning(
    running: Prometheus, new_server: LocalServer
) -> None:
    (query,) = runbook_queries("INT8 disagrees with FP32")
    found = outcomes_after(new_server, QUESTIONS)
    assert found.get("agree", 0) < MOST_THAT_AGREE * QUESTIONS
    assert new_server.log
    warnings = [line for line in new_server.log.read_text().splitlines() if "INT8 agrees with FP32" in line]
    assert len(warnings) == 1
    wait_until("the query shows it", lambda: min(running.values(query), default=0) > 1 - MOST_THAT_AGREE)
    running.wait_until_firing("BertQaGuardDisagreement")


def test_slow_answers_and_the_stage_that_takes_the_time(running: Prometheus, new_server: LocalServer) -> None:
    """The clients send their bodies slowly, which is the first cause in the runbook."""
    p99, stages = runbook_queries("Slow answers")
    assert 200 in post_slowly(new_server, SLOW_REQUESTS, PAUSE_SECONDS)
    wait_until("the P99 shows it", lambda: max(running.values(p99), default=0) > 0.5)

    def slowest() -> str:
        found = running.query(stages)
        return str(max(found, key=lambda each: float(each["value"][1]))["metric"]["stage"]) if found else ""

    wait_until("the clients are found to be slow", lambda: slowest() == "read")
    running.wait_until_firing("BertQaLatencyBurnsBudgetFast")


def test_too_little_memory(running: Prometheus, new_server: LocalServer, memory: ControlGroup | None) -> None:
    """Another process in the container's control group takes the memory."""
    if memory is None:
        pytest.skip("this system gives no control group for memory")
    (query,) = runbook_queries("Memory")
    memory.limit_memory(700_000_000)
    wait_until("the limit is seen", lambda: of_server(running, query, new_server) < 1e9)
    assert of_server(running, query, new_server) > LOW_MEMORY_BYTES
    with memory.taken(580_000_000):
        wait_until("the query shows it", lambda: of_server(running, query, new_server) < LOW_MEMORY_BYTES)
        running.wait_until_firing("BertQaMemory")
    wait_until("the alert stops", lambda: ("BertQaMemory", "bert-qa") not in running.firing())


def test_after_a_rollback_the_queries_show_only_the_old_version(running: Prometheus, new_server: LocalServer) -> None:
    versions, models = runbook_queries("A deployment has failed")
    new_server.stop()
    wait_until("only the old version is left", lambda: labels(running, versions, "version") == {contract.VERSION})
    int8 = [each for each in running.query(models) if each["metric"]["precision"] == "INT8"]
    assert len(int8) == 1


def test_a_deployment_that_fails_leaves_the_old_version_and_a_target_that_does_not_answer(
    running: Prometheus, new_server: LocalServer, new_port: int, damaged_dir: Path
) -> None:
    """The file is not the one of the manifest, so the new server ends before it opens its port."""
    assert new_server.process.poll() is not None
    with (damaged_dir / "model_int8.pt").open("ab") as file:
        file.write(b"more")
    ended = run_until_exit({"MODEL_DIR": str(damaged_dir), "PORT": str(new_port)})
    assert ended.returncode == contract.EXIT_ARTIFACT
    assert any(message.startswith("cannot start: ") for message in error_messages(ended.stdout))
    (not_ready,) = runbook_queries("Not ready")
    assert labels(running, not_ready, "instance") == {f"127.0.0.1:{new_port}"}
    versions, _ = runbook_queries("A deployment has failed")
    assert labels(running, versions, "version") == {contract.VERSION}
