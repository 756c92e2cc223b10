"""Measurements with figures that can be checked by hand."""

from container.precision import Precision
from tools.benchmark.load_generator import Load, Sample
from tools.benchmark.rounds import ClosedLoop, Measurement, OpenLoop, Round
from tools.remote.instance_prices import Price

ARTICLE_PRICE = Price(None, 0.408, "the article's instance")


def measured(
    precision: Precision, per_second: float, *latencies_ms: float, under: ClosedLoop | OpenLoop
) -> Measurement:
    """Return a measurement with these latencies and `per_second` answers per second."""
    samples = [Sample(0.0, 0.0, latency / 1000, 200) for latency in latencies_ms]
    return Measurement(precision, under, (Round(Load(samples, len(samples) / per_second, 0.0), None, None),))


def with_failures() -> Measurement:
    """Return a measurement with one answer, two refusals, an error of the server and two transport errors."""
    samples = [Sample(0, 0, 1, status) for status in (200, 429, 429, 500, 0, 0)]
    one = Round(Load(samples, 1.0, 0.5), server_cpu_seconds=1.5, server_memory_bytes=10)
    return Measurement("INT8", ClosedLoop(2), (one,))
