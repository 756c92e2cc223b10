"""The best thresholds for "no answer" are those of SQuAD's official script."""

from collections.abc import Mapping

import numpy as np
import pytest

from tools.answers.source import Reply
from tools.evaluate.no_answer import best_thresholds
from tools.squad.examples import Example
from tools.squad.metric import exact_match_v2, f1_v2

WORDS = ("red", "red ship", "blue ship", "harbour", "the old harbour")


def official(
    predictions: Mapping[str, str], scores: Mapping[str, float], odds: Mapping[str, float], has_answer: set[str]
) -> tuple[float, float]:
    """find_best_thresh of evaluate-v2.0.py, line by line."""
    score = best = sum(1 for name in predictions if name not in has_answer)
    threshold = 0.0
    for name in sorted(odds, key=lambda name: odds[name]):
        if name in has_answer:
            score += scores[name]  # type: ignore[assignment]
        elif predictions[name]:
            score -= 1
        if score > best:
            best, threshold = score, odds[name]
    return 100 * best / len(scores), threshold


def case(seed: int, questions: int = 60) -> tuple[list[Example], list[Reply]]:
    """Questions with and without an answer, and replies whose null difference says something about it."""
    numbers = np.random.default_rng(seed)
    examples, replies = [], []
    for number in range(questions):
        has_answer = bool(numbers.random() < 0.6)
        gold = (WORDS[numbers.integers(len(WORDS))],) if has_answer else ()
        span = gold[0] if has_answer and numbers.random() < 0.5 else WORDS[numbers.integers(len(WORDS))]
        difference = float(numbers.normal(-2 if has_answer else 2, 3))
        examples.append(Example(f"q{number}", "Which?", "A text.", gold))
        replies.append(Reply("" if difference > 0 else span, 0.5, span, difference))
    return examples, replies


@pytest.mark.parametrize("seed", range(20))
def test_thresholds_and_scores_equal_those_of_the_official_script(seed: int) -> None:
    examples, replies = case(seed)
    found = best_thresholds(examples, replies)
    spans = {one.id: reply.best_span for one, reply in zip(examples, replies, strict=True)}
    odds = {one.id: reply.null_difference or 0.0 for one, reply in zip(examples, replies, strict=True)}
    has_answer = {one.id for one in examples if one.answers}
    for metric, ours in (
        (exact_match_v2, (found.best_exact, found.best_exact_thresh)),
        (f1_v2, (found.best_f1, found.best_f1_thresh)),
    ):
        scores = {one.id: metric(spans[one.id], one.answers) for one in examples}
        assert ours == pytest.approx(official(spans, scores, odds, has_answer))


def f1_with(examples: list[Example], replies: list[Reply], threshold: float) -> float:
    answers = [
        "" if reply.null_difference is None or reply.null_difference > threshold else reply.best_span
        for reply in replies
    ]
    pairs = zip(answers, examples, strict=True)
    return float(100 * np.mean([f1_v2(answer, one.answers) for answer, one in pairs]))


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_gives_its_score_and_no_other_gives_more(seed: int) -> None:
    examples, replies = case(seed)
    examples.append(Example("no words", " ", "A text.", ()))
    replies.append(Reply("", 0.0))
    found = best_thresholds(examples, replies)
    assert f1_with(examples, replies, found.best_f1_thresh) == pytest.approx(found.best_f1)
    for threshold in np.linspace(-15, 15, 61):
        assert f1_with(examples, replies, float(threshold)) <= found.best_f1 + 1e-9


def test_where_no_answer_is_always_best_the_threshold_gives_it() -> None:
    examples = [Example(f"q{number}", "Which?", "A text.", ()) for number in range(3)]
    for differences, threshold in (((1.0, 2.0, 3.0), 0.0), ((-4.0, 2.0, 3.0), -4.0)):
        replies = [Reply("", 0.5, "red", difference) for difference in differences]
        found = best_thresholds(examples, replies)
        assert (found.best_exact, found.best_f1) == (100, 100)
        assert found.best_f1_thresh == pytest.approx(threshold)
        assert f1_with(examples, replies, found.best_f1_thresh) == 100
