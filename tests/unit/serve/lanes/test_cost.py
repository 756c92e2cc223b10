"""The expected cost of a window: what was measured, smoothed, and the estimate where nothing was measured."""

import pytest

from container.precision import Precision
from serve.lanes.cost import BACKGROUND_SHARE, SMOOTHING, BusyShare, CostTable, hang_limit_seconds
from serve.lanes.fair_queue import Priority


@pytest.fixture
def costs() -> CostTable:
    table = CostTable()
    table.observe(1, "INT8", 16, 2.0)
    table.observe(1, "INT8", 384, 40.0)
    table.observe(1, "FP32", 384, 90.0)
    table.observe(4, "INT8", 384, 12.0)
    return table


@pytest.mark.parametrize(("tokens", "cost_ms"), [(1, 2.0), (16, 2.0), (17, 40.0), (384, 40.0)])
def test_a_window_costs_what_its_rung_costs(costs: CostTable, tokens: int, cost_ms: float) -> None:
    assert costs.cost_ms(1, "INT8", tokens) == cost_ms


def test_each_width_and_precision_has_its_own_cost(costs: CostTable) -> None:
    assert costs.cost_ms(4, "INT8", 10) == 12.0
    assert costs.cost_ms(1, "FP32", 10) == 90.0


@pytest.mark.parametrize(("width", "precision", "tokens"), [(1, "INT8", 385), (2, "INT8", 16), (1, "BF16", 16)])
def test_a_cost_that_was_not_measured_is_the_highest_that_was(
    costs: CostTable, width: int, precision: Precision, tokens: int
) -> None:
    assert costs.cost_ms(width, precision, tokens) == 90.0


def test_without_any_measurement_the_cost_is_zero() -> None:
    assert CostTable().cost_ms(1, "INT8", 100) == 0.0


def test_the_first_measurement_is_the_cost() -> None:
    table = CostTable()
    table.observe(1, "INT8", 16, 7.5)
    assert table.cost_ms(1, "INT8", 16) == 7.5


def test_later_measurements_move_the_cost_little_by_little(costs: CostTable) -> None:
    costs.observe(1, "INT8", 384, 50.0)
    assert costs.cost_ms(1, "INT8", 384) == pytest.approx(40 + SMOOTHING * 10)
    assert costs.cost_ms(1, "INT8", 16) == 2.0
    for _ in range(60):
        costs.observe(1, "INT8", 384, 50.0)
    assert costs.cost_ms(1, "INT8", 384) == pytest.approx(50, abs=0.1)


def test_rows_list_every_measurement(costs: CostTable) -> None:
    assert sorted(costs.rows()) == [
        (1, "FP32", 384, 90.0),
        (1, "INT8", 16, 2.0),
        (1, "INT8", 384, 40.0),
        (4, "INT8", 384, 12.0),
    ]
    assert list(CostTable().rows()) == []


@pytest.mark.parametrize(("cost_ms", "seconds"), [(1.0, 5), (250.0, 5), (1000.0, 20)])
def test_a_pass_hangs_after_twenty_times_its_cost_and_five_seconds_at_least(cost_ms: float, seconds: float) -> None:
    assert hang_limit_seconds(cost_ms, Priority.FOREGROUND) == seconds


def test_a_background_pass_gets_the_time_that_its_share_of_a_core_needs() -> None:
    assert hang_limit_seconds(1000.0, Priority.BACKGROUND) == pytest.approx(20 / BACKGROUND_SHARE)


def test_a_pass_on_idle_cores_gets_ten_minutes() -> None:
    assert hang_limit_seconds(1.0, Priority.IDLE) == 600


def test_the_busy_share_is_the_foregrounds_part_of_the_last_five_seconds() -> None:
    busy = BusyShare(cores=2)
    assert busy.share() == 0
    busy.add(2500)
    assert busy.share() == pytest.approx(0.25, abs=0.01)
    busy.add(1e9)
    assert busy.share() == 1
