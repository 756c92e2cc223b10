"""The figures of a run, the planned arrivals, and runs without a server."""

import itertools
import math

import pytest
import uvloop

from tools.benchmark.load_generator import Load, Sample, closed_loop, poisson_arrivals
from tools.local_server import free_port

BODY = b'{"question": "Who built it?", "context": "It was built by Zoe."}'


def sample(latency_ms: float, status: int = 200) -> Sample:
    return Sample(intended_at=10.0, sent_at=10.001, finished_at=10.0 + latency_ms / 1000, status=status)


def test_a_closed_loop_without_a_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="requests or seconds"):
        uvloop.run(closed_loop("http://127.0.0.1:9", [BODY], 1))


def test_requests_to_a_missing_server_count_as_errors_with_status_0() -> None:
    load = uvloop.run(closed_loop(f"http://127.0.0.1:{free_port()}", [BODY], 1, requests=3))
    assert load.errors == {0: 3}
    assert load.queries_per_second == 0


def test_percentiles_count_answered_requests_only() -> None:
    load = Load([sample(latency) for latency in (10, 20, 30, 40, 50)] + [sample(9999, 429)])
    assert load.percentile(50) == pytest.approx(30)
    assert load.percentile(90) == pytest.approx(46)
    assert math.isnan(Load([sample(1, 500)]).percentile(50))


def test_the_sum_of_two_runs_is_one_run() -> None:
    both = Load([sample(10)], 1, 0.25) + Load([sample(30), sample(30, 500)], 3, 0.5)
    assert (len(both.samples), both.seconds, both.generator_cpu_seconds) == (3, 4, 0.75)
    assert both.queries_per_second == 0.5


def test_arrivals_have_the_given_rate_and_the_gaps_of_a_poisson_process() -> None:
    arrivals = poisson_arrivals(200, 50, 1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    assert len(arrivals) == 10_000
    assert arrivals == sorted(arrivals)
    assert 0 < arrivals[0] < arrivals[-1] < 50
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(1 / 200, rel=0.01)
    # The standard deviation of an exponential distribution is its mean, and 1/e of the gaps are longer than the mean.
    assert (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 == pytest.approx(mean, rel=0.05)
    assert sum(gap > mean for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.02)
    assert poisson_arrivals(200, 50, 1) == arrivals
    assert poisson_arrivals(200, 50, 2) != arrivals
