"""The load generator against a real server: what it sends, when it sends, and what its latencies include."""

import itertools
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import uvloop

from tools.benchmark.load_generator import Sample, closed_loop, open_loop, poisson_arrivals
from tools.local_server import LocalServer

QUESTION = {
    "question": "Who built it?",
    "context": "The lighthouse was built in 1871 by Zoë Müller.",
    "version": "INT8",
}
BODY = json.dumps(QUESTION).encode()
LONG_BODY = json.dumps({**QUESTION, "context": QUESTION["context"] * 60}).encode()  # several windows
BAD_BODY = b'{"question": "a context is missing"}'


def most_under_way(samples: list[Sample]) -> int:
    """Return the largest number of requests that were under way at the same time."""
    changes = [(sample.sent_at, 1) for sample in samples] + [(sample.finished_at, -1) for sample in samples]
    return max(itertools.accumulate(change for _, change in sorted(changes)))


def test_a_closed_loop_sends_the_given_number_of_requests_from_the_given_number_of_clients(server: LocalServer) -> None:
    done: list[Sample] = []
    load = uvloop.run(closed_loop(server.url, [BODY], 3, requests=20, on_done=done.append))
    assert [one.status for one in load.samples] == [200] * 20
    assert sorted(done, key=lambda one: one.intended_at) == load.samples
    assert most_under_way(load.samples) == 3
    assert load.queries_per_second == pytest.approx(20 / load.seconds)
    assert all(one.sent_at - one.intended_at < one.latency_ms / 1000 for one in load.samples)


def test_a_closed_loop_ends_after_the_given_seconds(server: LocalServer) -> None:
    load = uvloop.run(closed_loop(server.url, [BODY], 2, seconds=0.5))
    assert load.samples
    assert max(one.intended_at for one in load.samples) - load.samples[0].intended_at < 0.5
    assert load.seconds >= 0.4  # requests were sent for this time
    assert 0 < load.generator_cpu_seconds < load.seconds + 0.5


def test_bodies_are_sent_one_after_the_other_and_statuses_are_counted(server: LocalServer) -> None:
    load = uvloop.run(closed_loop(server.url, [BODY, BAD_BODY, BODY], 1, requests=9))
    statuses = [one.status for one in load.samples]
    assert statuses == [200, 422, 200] * 3
    assert load.errors == {422: 3}
    assert len(load.answered_ms) == 6


def test_requests_can_go_to_another_path(server: LocalServer) -> None:
    load = uvloop.run(closed_loop(server.url, [BODY], 1, requests=1, path="/nothing-here"))
    assert load.errors == {404: 1}


class OwnStatusApi:
    """An InvocationApi with a media type for each body, and another status for responses without an answer."""

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        return {"Content-Type": "application/json" if body == BODY else "text/html"}

    def status(self, status: int, content: bytes) -> int:
        return status if b"answer" in content else 1000 + status


def test_headers_and_status_of_each_request_come_from_the_api(server: LocalServer) -> None:
    load = uvloop.run(closed_loop(server.url, [BODY, LONG_BODY], 1, requests=4, api=OwnStatusApi()))
    assert [one.status for one in load.samples] == [200, 1415] * 2


def test_an_open_loop_sends_at_the_planned_arrivals(server: LocalServer) -> None:
    load = uvloop.run(open_loop(server.url, [BODY], 20, seconds=1, seed=3))
    planned = poisson_arrivals(20, 1, 3)
    first = load.samples[0].intended_at - planned[0]
    assert [one.intended_at - first for one in load.samples] == pytest.approx(planned)
    assert all(one.sent_at >= one.intended_at for one in load.samples)
    assert load.queries_per_second <= 20
    assert load.errors == {}


def test_an_open_loop_does_not_wait_for_answers(server: LocalServer) -> None:
    load = uvloop.run(open_loop(server.url, [LONG_BODY], 100, seconds=0.5))
    assert len(load.samples) == 50
    assert most_under_way(load.samples) > 10
    assert most_under_way(load.samples[-10:]) > 1  # also those that were sent last


def test_latency_includes_the_wait_in_the_servers_queue(server: LocalServer) -> None:
    alone = uvloop.run(closed_loop(server.url, [LONG_BODY], 1, requests=5))
    crowded = uvloop.run(open_loop(server.url, [LONG_BODY], 60, seconds=0.5))
    # A machine that is busy with something else makes some requests slower and none faster.
    assert crowded.percentile(100) > 3 * alone.percentile(0)


def test_latency_includes_the_delay_of_a_late_generator(server: LocalServer) -> None:
    block_seconds = 0.1

    def hold_the_event_loop(_: Sample) -> None:
        time.sleep(block_seconds)

    load = uvloop.run(open_loop(server.url, [BODY], 50, seconds=0.4, on_done=hold_the_event_loop))
    latest = max(load.samples, key=lambda one: one.sent_at - one.intended_at)
    delay_ms = (latest.sent_at - latest.intended_at) * 1000
    assert delay_ms > 1000 * block_seconds / 2
    assert latest.latency_ms == pytest.approx(delay_ms + (latest.finished_at - latest.sent_at) * 1000)


def test_refusals_are_counted_apart_from_errors(demo_dir: Path) -> None:
    settings = {"PRECISIONS": "INT8", "MAX_QUEUE_SECONDS": "0.2"}
    with LocalServer(demo_dir, settings) as small:
        small.wait_until_warm()
        load = uvloop.run(open_loop(small.url, [LONG_BODY], 200, seconds=1))
    assert load.refused > 0
    assert load.errors == {}
    assert load.refused + len(load.answered_ms) == 200
