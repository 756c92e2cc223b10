"""The comparison of the answers of two servers."""

from typing import Any

from benchmarks.answers.two_servers import compare


def answer(start: int, score: float) -> dict[str, Any]:
    return {"start": start, "end": start + 3, "answer": "Zoë", "score": score}


def test_spans_and_scores_are_compared() -> None:
    first = [[answer(0, 0.5), answer(4, 0.25)], [answer(0, 0.5)]]
    assert compare(first, first) == {"questions": 2, "different_spans": 0, "largest_score_difference": 0.0}
    second = [[answer(0, 0.5), answer(4, 0.125)], [answer(1, 0.5)]]
    assert compare(first, second) == {"questions": 2, "different_spans": 1, "largest_score_difference": 0.125}


def test_an_answer_that_is_missing_makes_the_spans_differ() -> None:
    assert compare([[answer(0, 0.5), answer(4, 0.25)]], [[answer(0, 0.5)]])["different_spans"] == 1
