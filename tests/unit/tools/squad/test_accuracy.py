"""Scores of many answers, their means, and the paired interval of a difference."""

import numpy as np
import pytest

from tools.squad.accuracy import accuracy, mean_scores, paired_interval, score_answers
from tools.squad.examples import Example

EXAMPLES = [
    Example("1", "Who?", "Zoë Müller did.", ("Zoë Müller",)),
    Example("2", "Who not?", "Zoë Müller did.", ()),
    Example("3", "When?", "In 1871.", ("1871", "In 1871")),
]


def test_scores_are_in_percent_by_the_rules_of_each_version() -> None:
    answers = ["Zoë", "", "in 1871"]
    assert score_answers(EXAMPLES, answers, is_v2=True) == pytest.approx(
        np.array([[0, 200 / 3], [100, 100], [100, 100]])
    )
    assert score_answers(EXAMPLES, answers, is_v2=False)[1] == pytest.approx(
        [0, 0]
    )  # in v1.1, every question has an answer
    assert mean_scores(score_answers(EXAMPLES, answers, is_v2=True)) == {
        "exact_match": pytest.approx(200 / 3),
        "f1": pytest.approx(800 / 9),
        "questions": 3,
    }
    assert accuracy(EXAMPLES[::2], answers[::2])["exact_match"] == 50
    assert accuracy(EXAMPLES, answers)["exact_match"] == pytest.approx(200 / 3)  # a question has no answer: v2.0


def test_a_missing_answer_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        score_answers(EXAMPLES, ["Zoë"], is_v2=False)


def random_scores(questions: int, lost: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores that lose a share of the questions, and a reference with half of them right; one column each."""
    numbers = np.random.default_rng(seed)
    reference = 100.0 * (numbers.random((questions, 1)) < 0.5)
    changed = numbers.random((questions, 1)) < lost
    return np.where(changed, 0, reference), reference


def test_the_95_percent_interval_contains_the_true_difference_about_95_times_of_100() -> None:
    contained = 0
    for seed in range(100):
        lower, upper = paired_interval(*random_scores(300, 0.1, seed))[:, 0]
        contained += lower <= -5 <= upper  # a tenth is lost of the half that is right
    assert 88 <= contained <= 100


def test_for_many_questions_the_interval_is_that_of_a_normal_distribution() -> None:
    ours, reference = random_scores(5000, 0.1, seed=1)
    lower, upper = paired_interval(ours, reference)[:, 0]
    difference = ours - reference
    half = 1.96 * difference.std() / np.sqrt(5000)
    assert (lower, upper) == pytest.approx((difference.mean() - half, difference.mean() + half), abs=0.05)


def test_pairing_shows_a_small_loss_that_independent_samples_would_hide() -> None:
    ours, reference = random_scores(2000, 0.01, seed=2)
    lower, upper = paired_interval(ours, reference)[:, 0]
    assert upper < 0
    apart = paired_interval(np.random.default_rng(3).permutation(ours), reference)[:, 0]
    assert apart[1] - apart[0] > 3 * (upper - lower)


def test_the_interval_is_reproducible_and_empty_without_a_difference() -> None:
    ours, reference = random_scores(100, 0.3, seed=4)
    both = np.hstack((ours, reference))
    interval = paired_interval(both, np.hstack((reference, reference)))
    assert np.array_equal(interval, paired_interval(both, np.hstack((reference, reference))))
    assert interval[0, 0] < interval[1, 0] < 0  # each column has its own interval
    assert interval[:, 1].tolist() == [0, 0]
