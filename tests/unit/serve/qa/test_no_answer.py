"""Which answer stands first if "" competes with the spans, and what the answers then report."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.qa.spans import SpanRules, rank
from tests.unit.serve.qa.test_spans import cut, flat, no_answer_case, random_logits, text_and_document


def rules(threshold: float, top_k: int = 1, *, returns_logits: bool = True) -> SpanRules:
    return SpanRules(top_k, 30, True, False, threshold, returns_logits)


@pytest.mark.parametrize(("threshold", "answer"), [(11.9, ""), (12, "aa"), (12.1, "aa"), (-50, ""), (50, "aa")])
def test_no_answer_wins_only_if_the_difference_exceeds_the_threshold(threshold: float, answer: str) -> None:
    case = no_answer_case(9, 10)  # the smallest null logit sum is 18, the best span's is 6
    [found] = rank(*case, rules(threshold))
    assert found.answer == answer
    assert found.details is not None
    assert (found.details["null_logit"], found.details["logit"]) == (18, 6 if answer else 18)


def test_without_a_threshold_the_higher_score_wins_and_a_tie_goes_to_the_span() -> None:
    for null, answer in ((2.9, "aa"), (3.0, "aa"), (3.1, "")):
        [found] = rank(*no_answer_case(null, null), rules(0))
        assert found.answer == answer


@pytest.mark.parametrize(("threshold", "first"), [(-100.0, ""), (100.0, "aa")])
def test_the_threshold_decides_who_stands_first_and_the_others_follow_by_their_scores(
    threshold: float, first: str
) -> None:
    for null in (-2, 2, 9):
        answers = rank(*no_answer_case(null, null), rules(threshold, 100))
        assert answers[0].answer == first
        scores = [answer.score for answer in answers]
        assert scores[1:] == sorted(scores[1:], reverse=True)
        by_score = rank(*no_answer_case(null, null), rules(0, 100))
        assert sorted(scores, reverse=True) == [answer.score for answer in by_score]
        assert {answer.answer for answer in answers} == {answer.answer for answer in by_score}


@settings(database=None, deadline=None, max_examples=100)
@given(st.integers(0, 2**32), st.integers(1, 8), st.floats(-10, 10))
def test_every_answer_reports_the_score_that_no_answer_has(seed: int, top_k: int, threshold: float) -> None:
    context, document = text_and_document([1, 2, 1, 3, 1, 1])
    windows = cut(len(document), 6, 3)
    logits = random_logits(windows, seed)
    everything = rank(context, document, windows, logits, rules(threshold, 1000))
    [empty] = [answer for answer in everything if not answer.answer]
    answers = rank(context, document, windows, logits, rules(threshold, top_k))
    assert [answer.answer for answer in answers] == [answer.answer for answer in everything][:top_k]
    best = max(answer.score for answer in everything if answer.answer)
    null = min(float(start[0] + end[0]) for start, end in logits)
    for answer in answers:
        assert answer.details is not None
        assert answer.details["null_score"] == empty.score
        assert answer.details["null_logit"] == null
        logit = answer.details["logit"]
        assert logit is not None
        assert answer.score == pytest.approx(empty.score * math.exp(logit - null), rel=1e-4, abs=1e-12)
    assert math.log(empty.score / best) == pytest.approx(null - _best_logit(everything), abs=1e-4)
    assert sum(answer.score for answer in everything) == pytest.approx(1, abs=1e-5)


def _best_logit(answers: list) -> float:  # type: ignore[type-arg]
    return float(max(answer.details["logit"] for answer in answers if answer.answer))


def test_logits_alone_change_neither_answers_nor_scores() -> None:
    context, document = text_and_document([1, 2, 1, 3, 1, 1])
    windows = cut(len(document), 6, 3)
    logits = random_logits(windows, 3)
    plain = rank(context, document, windows, logits, SpanRules(5, 30, False, True))
    with_logits = rank(context, document, windows, logits, SpanRules(5, 30, False, True, returns_logits=True))
    assert with_logits == plain
    assert all(answer.details is None for answer in plain)
    ratios = [answer.score / plain[0].score for answer in plain]
    found = [float((answer.details or {})["logit"] or 0) for answer in with_logits]
    assert ratios == pytest.approx(np.exp(np.array(found) - found[0]).tolist(), rel=1e-5)


def test_a_context_without_tokens_reports_that_it_has_no_span() -> None:
    _, document = text_and_document([])
    windows = cut(0, 8, 4)
    [plain] = rank("\u200b", document, windows, flat(windows), SpanRules(3, 30, False, False, returns_logits=True))
    assert (plain.answer, plain.score, plain.details) == ("", 0, {"logit": None})
    [empty] = rank("\u200b", document, windows, flat(windows), rules(50, 3))
    assert (empty.answer, empty.score) == ("", 1)
    assert empty.details == {"null_score": 1, "null_logit": -20, "logit": -20}


@pytest.mark.parametrize("seed", range(20))
def test_equal_logits_rank_by_their_place_in_the_text(seed: int) -> None:
    context, document = text_and_document([1] * 40)
    windows = cut(40, 25, 10)
    logits = [(np.round(start / 4), np.round(end / 4)) for start, end in random_logits(windows, seed)]
    best = rank(context, document, windows, logits, SpanRules(100, 5, False, False, returns_logits=True))
    keys = [(-float((answer.details or {})["logit"] or 0), answer.start, answer.end) for answer in best]
    assert keys == sorted(keys)
    assert [(answer.start, answer.end) for answer in best[:1]] == [
        (answer.start, answer.end) for answer in rank(context, document, windows, logits, SpanRules(1, 5, False, False))
    ]
