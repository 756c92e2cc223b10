"""The ideal queue that latency.open_loop compares the server with."""

import pytest

from benchmarks.latency.open_loop import fifo_latencies_ms


def test_a_request_waits_for_the_lane_that_is_free_first() -> None:
    # Arrivals at 0, 0 and 0.1 s on two lanes: the third request starts when the second has ended, at 0.2 s.
    latencies = fifo_latencies_ms([0.0, 0.0, 0.1], [[300.0], [200.0], [50.0]], lanes=2)
    assert latencies == pytest.approx([300, 200, 150])


def test_the_windows_of_a_request_run_on_all_lanes_and_the_last_one_counts() -> None:
    assert fifo_latencies_ms([1.0], [[100.0, 100.0, 100.0]], lanes=2) == pytest.approx([200])


def test_bodies_are_used_again_in_order() -> None:
    assert fifo_latencies_ms([0.0, 1.0, 2.0], [[10.0], [20.0]], lanes=1) == pytest.approx([10, 20, 10])
