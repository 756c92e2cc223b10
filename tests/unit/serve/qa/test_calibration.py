"""A calibration changes scores, and never the ranking."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.qa.ranking.calibration import Calibration
from serve.qa.spans import SpanRules, rank
from tests.unit.serve.qa.test_spans import OFFSET, cut, random_logits, text_and_document

RULES = st.builds(SpanRules, st.integers(1, 8), st.just(6), st.booleans(), st.booleans())
CALIBRATIONS = st.builds(Calibration, st.floats(0.25, 4), st.floats(-3, 3))


@settings(database=None, deadline=None, max_examples=150)
@given(CALIBRATIONS, st.integers(0, 2**32), RULES, st.integers(2, 30))
def test_answers_and_their_order_stay_and_scores_stay_probabilities(
    calibration: Calibration, seed: int, rules: SpanRules, windows_: int
) -> None:
    context, document = text_and_document([1, 2, 1, 3, 1, 1] * windows_)
    windows = cut(len(document), 12, 4)
    logits = random_logits(windows, seed)
    plain = rank(context, document, windows, logits, rules)
    found = rank(context, document, windows, logits, replace(rules, calibration=calibration))
    assert [(each.start, each.end) for each in found] == [(each.start, each.end) for each in plain]
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert sum(scores) <= 1 + 1e-6  # the sum over all candidates is made of float32 numbers


@pytest.mark.parametrize("windows_", [1, 30])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.4, 3.0])
@pytest.mark.parametrize("shift", [0.0, 1.25, -0.5])
def test_scores_are_the_softmax_at_the_temperature_with_the_best_odds_shifted(
    windows_: int, temperature: float, shift: float
) -> None:
    context, document = text_and_document([1] * (8 * windows_ + 4))
    windows = cut(len(document), 12, 4)
    assert len(windows) == windows_
    logits = random_logits(windows, windows_)
    rules = SpanRules(5, 4, False, False, 0, True, Calibration(temperature, shift))
    found = rank(context, document, windows, logits, rules)
    spans: dict[tuple[int, int], float] = {}
    for window, (start, end) in zip(windows, logits, strict=True):
        for i in range(window.context_tokens):
            for j in range(i, min(i + 4, window.context_tokens)):
                place = window.first_token + i, window.first_token + j
                spans[place] = max(float(start[OFFSET + i] + end[OFFSET + j]), spans.get(place, -math.inf))
    sums = np.array(list(spans.values()), dtype=np.float64)
    weights = np.exp((sums - sums.max()) / temperature)
    best = weights.max() / weights.sum()
    odds = best / (1 - best) * math.exp(shift)
    assert found[0].score == pytest.approx(odds / (1 + odds), rel=1e-4)
    ratios = [each.score / found[1].score for each in found[1:]]
    logits_of = [float((each.details or {})["logit"] or 0) for each in found[1:]]
    assert ratios == pytest.approx([math.exp((one - logits_of[0]) / temperature) for one in logits_of], rel=1e-4)


def test_a_calibration_that_changes_nothing_is_none() -> None:
    assert Calibration.of(1, 0) is None
    assert Calibration.of(1, 0.5) == Calibration(1, 0.5)
    assert Calibration.of(2, 0) == Calibration(2)


@pytest.mark.parametrize("shift", [-20.0, -1.0, 0.0, 1.0, 20.0])
def test_a_certain_answer_stays_certain_and_others_stay_impossible(shift: float) -> None:
    assert Calibration(1, shift).scores([0.0, -2000.0], 1.0) == [1.0, 0.0]
