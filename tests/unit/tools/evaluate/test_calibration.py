"""The fit of the calibration, on scores whose right calibration is known, and on SQuAD's questions."""

import json
from pathlib import Path

import numpy as np
import pytest

from tools.answers.artifact import ArtifactSource
from tools.errors import ToolError
from tools.evaluate.calibration import TEMPERATURES, calibrated, fit
from tools.squad.accuracy import score_answers
from tools.squad.examples import read_articles
from tools.squad.reliability import calibration_error
from tools.squad.rules import EVALUATION_RULES

SQUAD = Path(__file__).parents[5] / "shared" / "data" / "squad" / "validation.json"


def drawn(temperature: float, shift: float, questions: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Scores at all temperatures of questions with 30 candidates, and answers that are right under one calibration."""
    numbers = np.random.default_rng(0)
    below = -numbers.exponential(4, (questions, 29))
    scores = np.stack([1 / (1 + np.exp(below / each).sum(axis=1)) for each in TEMPERATURES], axis=1)
    odds = scores[:, TEMPERATURES.index(temperature)]
    probability = odds * np.exp(shift) / (odds * np.exp(shift) + 1 - odds)
    return scores, numbers.random(questions) < probability


@pytest.mark.parametrize(("temperature", "shift"), [(1.0, 0.0), (1.44, 1.2), (0.6944, -0.7)])
def test_the_fit_finds_the_calibration_behind_the_answers(temperature: float, shift: float) -> None:
    scores, is_right = drawn(temperature, shift)
    found = fit(scores, is_right)
    assert abs(TEMPERATURES.index(found.temperature) - TEMPERATURES.index(temperature)) <= 1
    assert found.log_odds_shift == pytest.approx(shift, abs=0.4)
    assert calibration_error(calibrated(scores, found), is_right) < 0.015


def test_calibrated_scores_are_those_of_the_server() -> None:
    scores, is_right = drawn(1.44, 1.2, 300)
    found = fit(scores, is_right)
    column = TEMPERATURES.index(found.temperature)
    ours = calibrated(scores, found)
    for row in range(0, 300, 30):
        [served] = found.scores([0.0], 1 / scores[row, column])
        assert served == pytest.approx(ours[row])


def test_answers_that_are_all_alike_are_refused() -> None:
    scores, _ = drawn(1.0, 0.0, 200)
    for alike in (np.ones(200, dtype=bool), np.zeros(200, dtype=bool)):
        with pytest.raises(ToolError, match="needs right and wrong answers"):
            fit(scores, alike)


@pytest.fixture(scope="module")
def squad(demo_dir: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores at all temperatures, whether the answers are right, and the number of each question's context."""
    if not SQUAD.is_file():
        pytest.skip("SQuAD's questions are not beside this checkout (../shared/data/squad)")
    examples = [example for article in read_articles(str(SQUAD)) for example in article]
    numbers = {context: number for number, context in enumerate(dict.fromkeys(each.context for each in examples))}
    rows = list(ArtifactSource(demo_dir, ("INT8",)).best_candidates("INT8", examples, EVALUATION_RULES, TEMPERATURES))
    is_right = score_answers(examples, [text for text, _ in rows], is_v2=False)[:, 0] > 0
    return np.array([each for _, each in rows]), is_right, np.array([numbers[each.context] for each in examples])


def errors(scores: np.ndarray, is_right: np.ndarray, fitted_on: np.ndarray) -> tuple[float, float]:
    """The errors of the questions that are not fitted on, before and after."""
    rest = ~fitted_on
    found = fit(scores[fitted_on], is_right[fitted_on])
    before = calibration_error(scores[rest, TEMPERATURES.index(1)], is_right[rest])
    return before, calibration_error(calibrated(scores[rest], found), is_right[rest])


def test_a_fit_on_half_of_squads_contexts_calibrates_the_other_half(
    squad: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    scores, is_right, contexts = squad
    before, after = errors(scores, is_right, contexts % 2 == 0)
    print(json.dumps({"before": before, "after": after}))
    assert after <= before / 2 or after < 0.04


def test_random_halves_of_squad_are_calibrated_as_well_as_their_size_allows(
    squad: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Scores that are exactly what they say have an error of 0.029 on half of the questions."""
    scores, is_right, _ = squad
    numbers = np.random.default_rng(0)
    halves = (numbers.permutation(len(is_right)) < len(is_right) // 2 for _ in range(200))
    before, after = np.mean([errors(scores, is_right, half) for half in halves], axis=0)
    print(json.dumps({"before": before, "after": after}))
    assert before > 0.06
    assert after < 0.033  # without a prior, it is 0.035
