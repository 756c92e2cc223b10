"""The load generator against a real server: what it sends, when, and from when on it counts."""

import itertools
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import uvloop

from tools.benchmark.load import Load, Sample, closed_loop, open_loop, poisson_arrivals
from tools.local_server import LocalServer, free_port

QUESTION = {
    "question": "Who built it?",
    "context": "The lighthouse was built in 1871 by Zoë Müller.",
    "version": "INT8",
}
BODY = json.dumps(QUESTION).encode()
LONG_BODY = json.dumps({**QUESTION, "context": QUESTION["context"] * 60}).encode()  # several windows
BAD_BODY = b'{"question": "a context is missing"}'


def most_under_way(samples: list[Sample]) -> int:
    """How many requests were under way at once."""
    changes = [(sample.sent_at, 1) for sample in samples] + [(sample.finished_at, -1) for sample in samples]
    return max(itertools.accumulate(change for _, change in sorted(changes)))


def sample(latency_ms: float, status: int = 200) -> Sample:
    return Sample(intended_at=10.0, sent_at=10.001, finished_at=10.0 + latency_ms / 1000, status=status)


def test_a_closed_loop_sends_so_many_requests_from_so_many_clients(server: LocalServer) -> None:
    done: list[Sample] = []
    load = uvloop.run(closed_loop(server.url, [BODY], 3, requests=20, on_done=done.append))
    assert [one.status for one in load.samples] == [200] * 20
    assert sorted(done, key=lambda one: one.intended_at) == load.samples
    assert most_under_way(load.samples) == 3
    assert load.queries_per_second == pytest.approx(20 / load.seconds)
    assert all(one.sent_at - one.intended_at < one.latency_ms / 1000 for one in load.samples)


def test_a_closed_loop_ends_after_so_many_seconds(server: LocalServer) -> None:
    begin = time.perf_counter()
    load = uvloop.run(closed_loop(server.url, [BODY], 2, seconds=0.5))
    assert load.samples
    assert all(one.intended_at - begin < load.seconds for one in load.samples)
    assert max(one.intended_at for one in load.samples) - load.samples[0].intended_at < 0.5
    assert load.seconds >= 0.4  # sent until then
    assert 0 < load.generator_cpu_seconds < load.seconds + 0.5


def test_a_closed_loop_needs_an_end() -> None:
    with pytest.raises(ValueError, match="requests or by seconds"):
        uvloop.run(closed_loop("http://127.0.0.1:9", [BODY], 1))


def test_bodies_are_sent_in_turn_and_statuses_counted(server: LocalServer) -> None:
    load = uvloop.run(closed_loop(server.url, [BODY, BAD_BODY, BODY], 1, requests=9))
    statuses = [one.status for one in load.samples]
    assert statuses == [200, 422, 200] * 3
    assert load.errors == {422: 3}
    assert len(load.answered_ms) == 6


def test_a_server_that_is_not_there_is_an_error_without_a_status() -> None:
    load = uvloop.run(closed_loop(f"http://127.0.0.1:{free_port()}", [BODY], 1, requests=3))
    assert load.errors == {0: 3}
    assert load.queries_per_second == 0


def test_another_path_can_be_asked(server: LocalServer) -> None:
    load = uvloop.run(closed_loop(server.url, [BODY], 1, requests=1, path="/nothing-here"))
    assert load.errors == {404: 1}


class Judging:
    """A Wire that names the type of a body, and takes its answer's length for its status."""

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        return {"Content-Type": "application/json" if body == BODY else "text/html"}

    def status(self, status: int, content: bytes) -> int:
        return status if b"answer" in content else 1000 + status


def test_what_stands_around_a_body_is_asked_for_each(server: LocalServer) -> None:
    load = uvloop.run(closed_loop(server.url, [BODY, LONG_BODY], 1, requests=4, wire=Judging()))
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
    last_sent = max(one.sent_at for one in load.samples)
    last_finished = max(one.finished_at for one in load.samples)
    assert last_finished > last_sent + 0.5  # the server works on when all has been sent


def test_waiting_in_the_servers_queue_counts(server: LocalServer) -> None:
    alone = uvloop.run(closed_loop(server.url, [LONG_BODY], 1, requests=5))
    crowded = uvloop.run(open_loop(server.url, [LONG_BODY], 60, seconds=0.5))
    assert crowded.percentile(90) > 3 * alone.percentile(50)


def test_a_late_generator_counts_its_own_delay(server: LocalServer) -> None:
    block_seconds = 0.1

    def hold_the_event_loop(_: Sample) -> None:
        time.sleep(block_seconds)

    load = uvloop.run(open_loop(server.url, [BODY], 50, seconds=0.4, on_done=hold_the_event_loop))
    latest = max(load.samples, key=lambda one: one.sent_at - one.intended_at)
    delay_ms = (latest.sent_at - latest.intended_at) * 1000
    assert delay_ms > 1000 * block_seconds / 2
    assert latest.latency_ms == pytest.approx(delay_ms + (latest.finished_at - latest.sent_at) * 1000)


def test_refusals_stand_apart_from_errors(demo_dir: Path) -> None:
    settings = {"PRECISIONS": "INT8", "MAX_QUEUE_SECONDS": "0.2"}
    with LocalServer(demo_dir, settings) as small:
        small.wait_until_warm()
        load = uvloop.run(open_loop(small.url, [LONG_BODY], 200, seconds=1))
    assert load.refused > 0
    assert load.errors == {}
    assert load.refused + len(load.answered_ms) == 200


def test_percentiles_are_of_answered_requests() -> None:
    load = Load([sample(latency) for latency in (10, 20, 30, 40, 50)] + [sample(9999, 429)])
    assert load.percentile(50) == pytest.approx(30)
    assert load.percentile(90) == pytest.approx(46)
    assert math.isnan(Load([sample(1, 500)]).percentile(50))


def test_two_runs_add_up() -> None:
    both = Load([sample(10)], 1, 0.25) + Load([sample(30), sample(30, 500)], 3, 0.5)
    assert (len(both.samples), both.seconds, both.generator_cpu_seconds) == (3, 4, 0.75)
    assert both.queries_per_second == 0.5


def test_arrivals_are_as_many_as_the_rate_says_and_like_poissons() -> None:
    arrivals = poisson_arrivals(200, 50, 1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    assert len(arrivals) == 10_000
    assert arrivals == sorted(arrivals)
    assert 0 < arrivals[0] < arrivals[-1] < 50
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(1 / 200, rel=0.01)
    # An exponential's standard deviation is its mean, and 1/e of its gaps are longer than that.
    assert (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 == pytest.approx(mean, rel=0.05)
    assert sum(gap > mean for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.02)
    assert poisson_arrivals(200, 50, 1) == arrivals
    assert poisson_arrivals(200, 50, 2) != arrivals
