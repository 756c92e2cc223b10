"""Bins, calibration error and coverage, against plain loops and against scores that are right by construction."""

import numpy as np
import pytest

from tools.squad.reliability import BINS, calibration_error, coverage_at, reliability


def drawn(seed: int, questions: int = 2000, power: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and answers that are right as often as the scores raised to a power say."""
    numbers = np.random.default_rng(seed)
    scores = numbers.random(questions)
    return scores, numbers.random(questions) < scores**power


def plain_error(scores: np.ndarray, is_right: np.ndarray) -> float:
    rows = sorted(zip(scores.tolist(), is_right.tolist(), strict=True), key=lambda row: row[0])
    sizes = [len(rows) // BINS + (number < len(rows) % BINS) for number in range(BINS)]
    error = begin = 0
    for size in sizes:
        part = rows[begin : begin + size]
        error += size * abs(sum(score for score, _ in part) / size - sum(right for _, right in part) / size)
        begin += size
    return error / len(rows)


@pytest.mark.parametrize("questions", [10, 57, 196, 1000])
def test_the_error_is_that_of_a_plain_loop(questions: int) -> None:
    scores, is_right = drawn(questions, questions, 2)
    assert calibration_error(scores, is_right) == pytest.approx(plain_error(scores, is_right))


def test_scores_that_are_what_they_say_have_a_small_error_and_others_have_not() -> None:
    good, bad = reliability(*drawn(1)), reliability(*drawn(1, power=3))
    assert good.expected_calibration_error < 0.03
    assert bad.expected_calibration_error > 0.15
    for found in (good, bad):
        lower, upper = found.interval_95
        assert lower <= found.expected_calibration_error <= upper
        assert upper - lower < 0.06
    assert good.interval_95 == reliability(*drawn(1)).interval_95


def test_bins_hold_equally_many_answers_in_the_order_of_their_scores() -> None:
    scores, is_right = drawn(2, 203)
    bins = reliability(scores, is_right).bins
    assert [one.questions for one in bins] == [21] * 3 + [20] * 7
    assert all(one.lowest <= one.score <= one.highest for one in bins)
    assert all(before.highest <= after.lowest for before, after in zip(bins, bins[1:], strict=False))
    assert sum(one.questions * one.right for one in bins) == pytest.approx(is_right.sum())


@pytest.mark.parametrize("precision", [0.6, 0.9, 0.95])
def test_the_threshold_gives_the_precision_and_no_lower_one_does(precision: float) -> None:
    scores, is_right = drawn(3, 500)
    scores = np.round(scores, 2)  # many are equal
    found = coverage_at(scores, is_right, precision)
    assert found is not None
    taken = scores >= found.threshold
    assert taken.mean() == pytest.approx(found.coverage)
    assert is_right[taken].mean() == pytest.approx(found.precision)
    assert found.precision >= precision
    for threshold in np.unique(scores[scores < found.threshold]):
        assert is_right[scores >= threshold].mean() < precision


def test_without_a_threshold_that_gives_the_precision_there_is_no_coverage() -> None:
    assert coverage_at(np.array([0.1, 0.9]), np.array([True, False]), 0.9) is None
    found = reliability(np.array([0.4, 0.6, 0.8]), np.array([False, False, False]))
    assert found.coverage == {"0.9": None, "0.95": None}
    assert (found.questions, found.right, len(found.bins)) == (3, 0, 3)
