"""Which shapes are chosen, with injected costs, and which windows may share a call."""

import pytest

from container.precision import Precision
from model_loader.ladder import Batch, rungs
from serve.lanes.batches.batches import Batches
from serve.lanes.cost import CostTable

LADDER = rungs(384, 16)
INT8: Precision = "INT8"
# Milliseconds for each window in batches of 1, 2 and 4: BERT-base on one core with AMX, and a CPU that gains nothing.
ON_AMX = {32: (10.5, 8.4, 6.3), 64: (16.4, 12.0, 9.5), 128: (22.8, 18.3, 17.0), 192: (32.4, 29.2, 26.1)}
ON_ZEN_4 = {64: (17.1, 16.9, 17.3), 128: (33.9, 34.1, 33.8)}
LONGEST_MS = 59.9


def gains(rows: dict[int, tuple[float, float, float]]) -> dict[Batch, float]:
    """How many times as fast windows are in calls of 2 and 4."""
    return {Batch(rung, 2**power): row[0] / row[power] for rung, row in rows.items() for power in (1, 2)}


def batches_of(
    rows: dict[int, tuple[float, float, float]], max_windows: int | None = None, max_shapes: int = 12
) -> Batches:
    """Batches that were chosen from these costs."""
    costs = CostTable()
    costs.observe(1, INT8, LADDER[-1], LONGEST_MS)
    for rung, row in rows.items():
        costs.observe(1, INT8, rung, row[0])
    found = Batches(LADDER, costs, max_windows, max_shapes)
    found.choose(INT8, gains(rows))
    return found


def test_shapes_that_gain_are_chosen_and_the_best_one_comes_first() -> None:
    chosen = batches_of(ON_AMX).chosen(INT8)
    assert chosen[:2] == [Batch(64, 4), Batch(32, 4)]
    assert set(chosen) == {Batch(rung, windows) for rung in ON_AMX for windows in (2, 4)}


def test_nothing_is_chosen_where_nothing_gains() -> None:
    assert batches_of(ON_ZEN_4).chosen(INT8) == []


def test_memory_limits_the_shapes_to_those_that_gain_most() -> None:
    assert batches_of(ON_AMX, max_shapes=3).chosen(INT8) == [Batch(64, 4), Batch(32, 4), Batch(64, 2)]


def test_a_larger_call_must_beat_a_smaller_one() -> None:
    assert batches_of({64: (10, 8, 8.5)}).chosen(INT8) == [Batch(64, 2)]


def test_a_call_that_would_hold_its_core_too_long_is_not_chosen() -> None:
    assert batches_of({192: (60, 45, 31)}).chosen(INT8) == [Batch(192, 2)]  # 4 windows: 124 ms; the longest one: 60


@pytest.mark.parametrize(
    ("max_windows", "sizes"), [(None, (2, 4)), (1, ()), (2, (2,)), (3, (2,)), (8, (2, 4, 8)), (16, (2, 4, 8, 16))]
)
def test_the_setting_limits_the_windows_of_a_call(max_windows: int | None, sizes: tuple[int, ...]) -> None:
    assert Batches(LADDER, CostTable(), max_windows, 12).sizes == sizes


def test_every_second_rung_up_to_192_tokens_is_a_candidate() -> None:
    assert Batches(LADDER, CostTable(), None, 12).candidate_rungs == (32, 64, 96, 128, 160, 192)
    assert Batches(rungs(384, 64), CostTable(), None, 12).candidate_rungs == (128,)
    assert Batches(LADDER, CostTable(), 1, 12).candidate_rungs == ()
    assert Batches(LADDER, CostTable(), None, 0).candidate_rungs == ()


def test_a_window_shares_calls_of_its_own_rung_or_the_next_one() -> None:
    found = batches_of(ON_AMX)
    warm = found.chosen(INT8)
    for tokens, rung in ((33, 64), (48, 64), (49, 64), (64, 64), (113, 128), (32, 32), (1, 32)):
        assert found.for_window(INT8, tokens, warm, 8) == [Batch(rung, 4), Batch(rung, 2)], tokens
    for tokens in (65, 96, 129, 193):  # of these rungs, nothing was measured
        assert found.for_window(INT8, tokens, warm, 8) == [], tokens


def test_a_window_shares_only_calls_that_are_warm_and_small_enough() -> None:
    found = batches_of(ON_AMX)
    assert found.for_window(INT8, 60, [Batch(64, 2)], 8) == [Batch(64, 2)]
    assert found.for_window(INT8, 60, found.chosen(INT8), 3) == [Batch(64, 2)]
    assert found.for_window(INT8, 60, found.chosen(INT8), 1) == []
    assert found.for_window("FP32", 60, [Batch(64, 2)], 8) == []


def test_a_call_pays_only_if_it_gains_also_after_padding() -> None:
    found = batches_of(ON_AMX)
    assert found.pays(INT8, Batch(64, 4), [16.4] * 4)  # 38 ms instead of 65.6
    assert found.pays(INT8, Batch(64, 4), [10.5] * 4)
    assert not found.pays(INT8, Batch(64, 4), [10.4] * 4)  # padded from windows that cost 41.6 ms, of which 38 is 91 %


def test_a_batch_becomes_slower_as_single_windows_do() -> None:
    found = batches_of(ON_AMX)
    before = found.cost_ms(INT8, Batch(64, 4))
    for _ in range(100):
        found._costs.observe(1, INT8, 64, 2 * ON_AMX[64][0])  # another program uses the core
    assert found.cost_ms(INT8, Batch(64, 4)) == pytest.approx(2 * before, rel=0.01)
    assert found.pays(INT8, Batch(64, 4), [2 * 16.4] * 4)


def test_a_shape_that_raises_errors_again_and_again_is_used_no_more() -> None:
    found = batches_of(ON_AMX)
    for failures in range(3):
        assert Batch(64, 4) in found.chosen(INT8), failures
        found.note_failure(INT8, Batch(64, 4))
    assert Batch(64, 4) not in found.chosen(INT8)


def test_a_shape_that_cannot_run_is_used_no_more() -> None:
    found = batches_of(ON_AMX)
    found.drop(INT8, Batch(64, 4))
    assert found.for_window(INT8, 60, [Batch(64, 4), Batch(64, 2)], 8) == [Batch(64, 2)]
