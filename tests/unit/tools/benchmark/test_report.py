"""The rows of a benchmark's report."""

import pytest

from tests.unit.tools.benchmark.measurements import ARTICLE_PRICE, measured, with_failures
from tools.benchmark.load_generator import Load, Sample
from tools.benchmark.report import rows
from tools.benchmark.rounds import ClosedLoop, Measurement, Round


def test_performance_per_dollar_is_relative_to_the_first_row_of_the_load() -> None:
    fp32 = measured("FP32", 13, 70, 110.8, under=ClosedLoop(1))
    int8 = measured("INT8", 25.56, 35.7, 48.9, under=ClosedLoop(1))
    first, second = rows([fp32, int8], ARTICLE_PRICE)
    assert first.relative_performance_per_dollar == 1
    assert second.relative_performance_per_dollar == pytest.approx(25.56 / 13)
    assert first.dollars_per_million is not None
    assert second.dollars_per_million == pytest.approx(first.dollars_per_million * 13 / 25.56)


def test_refusals_are_counted_apart_from_errors() -> None:
    (row,) = rows([with_failures()], ARTICLE_PRICE)
    assert (row.requests, row.refused, row.errors) == (6, 2, {500: 1, 0: 2})


def test_rounds_are_weighted_by_their_length() -> None:
    rounds = [
        Round(Load([Sample(0, 0, 1, 200)] * number, seconds, 0.1), cpu_seconds, memory)
        for number, seconds, cpu_seconds, memory in ((10, 1.0, 2.0, 100), (10, 3.0, 2.0, 300))
    ]
    (row,) = rows([Measurement("INT8", ClosedLoop(1), tuple(rounds))], ARTICLE_PRICE)
    assert (row.queries_per_second, row.server_cores, row.server_memory_bytes) == (5, 1, 300)
    assert [one["queries_per_second"] for one in row.rounds] == [10, pytest.approx(10 / 3)]
