"""Measurements with figures that can be checked by hand."""

from container.precision import Precision
from tools.benchmark.load import Load, Sample
from tools.benchmark.rounds import Closed, Measured, Open, Turn
from tools.remote.instance_prices import Price

ARTICLE_PRICE = Price(None, 0.408, "the article's instance")


def measured(precision: Precision, per_second: float, *latencies_ms: float, under: Closed | Open) -> Measured:
    """Return a run that answered `per_second` questions a second with these latencies."""
    samples = [Sample(0.0, 0.0, latency / 1000, 200) for latency in latencies_ms]
    return Measured(precision, under, (Turn(Load(samples, len(samples) / per_second, 0.0), None, None),))
