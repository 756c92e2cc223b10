"""Means and paired intervals of scores."""

import numpy as np
import pytest

from tools.squad.accuracy import accuracy, means, paired_interval, scores
from tools.squad.examples import Example

EXAMPLES = [
    Example("1", "Who?", "Zoë Müller did.", ("Zoë Müller",)),
    Example("2", "Who not?", "Zoë Müller did.", ()),
    Example("3", "When?", "In 1871.", ("1871", "In 1871")),
]


def test_scores_are_in_percent_by_the_versions_rules() -> None:
    answers = ["Zoë", "", "in 1871"]
    assert scores(EXAMPLES, answers, is_v2=True) == pytest.approx(np.array([[0, 200 / 3], [100, 100], [100, 100]]))
    assert scores(EXAMPLES, answers, is_v2=False)[1] == pytest.approx([0, 0])  # v1.1 knows no unanswerable question
    assert means(scores(EXAMPLES, answers, is_v2=True)) == {
        "exact_match": pytest.approx(200 / 3),
        "f1": pytest.approx(800 / 9),
        "questions": 3,
    }
    assert accuracy(EXAMPLES[::2], answers[::2])["exact_match"] == 50


def test_scores_need_an_answer_to_each_question() -> None:
    with pytest.raises(ValueError, match="shorter"):
        scores(EXAMPLES, ["Zoë"], is_v2=False)


def random_scores(questions: int, lost: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A reference that has half of the questions right, and one that loses a share of all; each of one column."""
    numbers = np.random.default_rng(seed)
    reference = 100.0 * (numbers.random((questions, 1)) < 0.5)
    changed = numbers.random((questions, 1)) < lost
    return np.where(changed, 0, reference), reference


def test_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        lower, upper = paired_interval(*random_scores(300, 0.1, seed))[:, 0]
        held += lower <= -5 <= upper  # a tenth of the half that is right is lost
    assert 88 <= held <= 100


def test_the_interval_is_that_of_the_normal_law_for_many_questions() -> None:
    ours, reference = random_scores(5000, 0.1, seed=1)
    lower, upper = paired_interval(ours, reference)[:, 0]
    difference = ours - reference
    half = 1.96 * difference.std() / np.sqrt(5000)
    assert (lower, upper) == pytest.approx((difference.mean() - half, difference.mean() + half), abs=0.05)


def test_pairs_tell_a_small_loss_that_separate_samples_would_hide() -> None:
    ours, reference = random_scores(2000, 0.01, seed=2)
    lower, upper = paired_interval(ours, reference)[:, 0]
    assert upper < 0
    apart = paired_interval(np.random.default_rng(3).permutation(ours), reference)[:, 0]
    assert apart[1] - apart[0] > 3 * (upper - lower)


def test_the_interval_repeats_and_is_nothing_for_no_difference() -> None:
    ours, reference = random_scores(100, 0.3, seed=4)
    both = np.hstack((ours, reference))
    interval = paired_interval(both, np.hstack((reference, reference)))
    assert np.array_equal(interval, paired_interval(both, np.hstack((reference, reference))))
    assert interval[0, 0] < interval[1, 0] < 0  # columns do not mix
    assert interval[:, 1].tolist() == [0, 0]
