"""The benchmark's arithmetic and tables, from runs with figures that can be checked by hand."""

import pytest
from rich.console import Console

from tests.unit.tools.benchmark.measurements import ARTICLE_PRICE, measured
from tools.benchmark.load import Load, Sample
from tools.benchmark.report import closed_table, open_table, rows
from tools.benchmark.rounds import Closed, Measured, Open, Turn


def text(of: object) -> str:
    """A table as it is printed, on a terminal of 80 columns."""
    console = Console(width=80)
    with console.capture() as captured:
        console.print(of)
    return captured.get()


def test_performance_per_dollar_is_relative_to_the_first_row_of_the_load() -> None:
    fp32 = measured("FP32", 13, 70, 110.8, under=Closed(1))
    int8 = measured("INT8", 25.56, 35.7, 48.9, under=Closed(1))
    first, second = rows([fp32, int8], ARTICLE_PRICE)
    assert first.relative_performance_per_dollar == 1
    assert second.relative_performance_per_dollar == pytest.approx(25.56 / 13)
    assert first.dollars_per_million is not None
    assert second.dollars_per_million == pytest.approx(first.dollars_per_million * 13 / 25.56)


def test_what_is_not_known_is_a_dash() -> None:
    elsewhere = rows([measured("INT8", 50, 20, 40, under=Closed(1))], ARTICLE_PRICE)
    cells = text(closed_table("one client", elsewhere)).splitlines()[-1].split()
    assert cells == ["INT8", "30.0", "38.0", "39.8", "50.0", "2.27", "1.00", "0", "0", "-", "0.00"]
    at_a_rate = rows([measured("INT8", 50, 20, 40, under=Open(7.0))], ARTICLE_PRICE)
    assert text(open_table(at_a_rate)).splitlines()[-1].split()[:3] == ["INT8", "7.0", "-"]


def test_refusals_and_errors_have_columns_of_their_own() -> None:
    samples = [Sample(0, 0, 1, status) for status in (200, 429, 429, 500, 0, 0)]
    turn = Turn(Load(samples, 1.0, 0.5), server_cpu_seconds=1.5, server_memory_bytes=10)
    (row,) = rows([Measured("INT8", Closed(2), (turn,))], ARTICLE_PRICE)
    assert (row.requests, row.refused, row.errors) == (6, 2, {500: 1, 0: 2})
    assert text(closed_table("", [row])).splitlines()[-1].split()[-4:] == ["2", "3", "1.50", "0.50"]


def test_turns_are_weighed_by_their_length() -> None:
    turns = [
        Turn(Load([Sample(0, 0, 1, 200)] * number, seconds, 0.1), cpu_seconds, memory)
        for number, seconds, cpu_seconds, memory in ((10, 1.0, 2.0, 100), (10, 3.0, 2.0, 300))
    ]
    (row,) = rows([Measured("INT8", Closed(1), tuple(turns))], ARTICLE_PRICE)
    assert (row.queries_per_second, row.server_cores, row.server_memory_bytes) == (5, 1, 300)
    assert [turn["queries_per_second"] for turn in row.turns] == [10, pytest.approx(10 / 3)]
