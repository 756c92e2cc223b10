"""Prices: what was measured, smoothed, and the guess where nothing was."""

import pytest

from container.precision import Precision
from serve.lanes.cost import SMOOTHING, CostTable


@pytest.fixture
def prices() -> CostTable:
    table = CostTable()
    table.observe(1, "INT8", 16, 2.0)
    table.observe(1, "INT8", 384, 40.0)
    table.observe(1, "FP32", 384, 90.0)
    table.observe(4, "INT8", 384, 12.0)
    return table


@pytest.mark.parametrize(("tokens", "price_ms"), [(1, 2.0), (16, 2.0), (17, 40.0), (384, 40.0)])
def test_a_window_costs_what_its_rung_costs(prices: CostTable, tokens: int, price_ms: float) -> None:
    assert prices.price_ms(1, "INT8", tokens) == price_ms


def test_each_width_and_precision_has_its_own_price(prices: CostTable) -> None:
    assert prices.price_ms(4, "INT8", 10) == 12.0
    assert prices.price_ms(1, "FP32", 10) == 90.0


@pytest.mark.parametrize(("width", "precision", "tokens"), [(1, "INT8", 385), (2, "INT8", 16), (1, "BF16", 16)])
def test_what_was_not_measured_costs_as_much_as_the_dearest_that_was(
    prices: CostTable, width: int, precision: Precision, tokens: int
) -> None:
    assert prices.price_ms(width, precision, tokens) == 90.0


def test_without_any_measurement_the_price_is_nothing() -> None:
    assert CostTable().price_ms(1, "INT8", 100) == 0.0


def test_the_first_measurement_is_the_price() -> None:
    table = CostTable()
    table.observe(1, "INT8", 16, 7.5)
    assert table.price_ms(1, "INT8", 16) == 7.5


def test_later_measurements_move_the_price_little_by_little(prices: CostTable) -> None:
    prices.observe(1, "INT8", 384, 50.0)
    assert prices.price_ms(1, "INT8", 384) == pytest.approx(40 + SMOOTHING * 10)
    assert prices.price_ms(1, "INT8", 16) == 2.0
    for _ in range(60):
        prices.observe(1, "INT8", 384, 50.0)
    assert prices.price_ms(1, "INT8", 384) == pytest.approx(50, abs=0.1)


def test_rows_are_all_that_was_measured(prices: CostTable) -> None:
    assert sorted(prices.rows()) == [
        (1, "FP32", 384, 90.0),
        (1, "INT8", 16, 2.0),
        (1, "INT8", 384, 40.0),
        (4, "INT8", 384, 12.0),
    ]
    assert list(CostTable().rows()) == []
