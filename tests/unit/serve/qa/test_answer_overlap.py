"""The F1 of two answers' words, by SQuAD's rules."""

import pytest

from serve.qa.answer_overlap import normalize_answer, overlap


@pytest.mark.parametrize(
    ("text", "normalized"),
    [("The  Eiffel Tower!", "eiffel tower"), ("an apple, a pear", "apple pear"), ("U.S.", "us"), ("the", ""), ("", "")],
)
def test_normalization_removes_case_punctuation_articles_and_space(text: str, normalized: str) -> None:
    assert normalize_answer(text) == normalized


@pytest.mark.parametrize(
    ("answer", "other", "f1"),
    [
        ("the Eiffel Tower", "Eiffel tower.", 1.0),
        ("Eiffel Tower in Paris", "Eiffel Tower", 2 * 0.5 * 1 / 1.5),
        ("Paris", "London", 0.0),
        ("a a b", "b a a", 1.0),
        ("x x y", "x z", 2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2)),
        ("", "", 1.0),
        ("", "Paris", 0.0),
        ("the", "an", 1.0),
    ],
)
def test_overlap_is_the_f1_of_the_words(answer: str, other: str, f1: float) -> None:
    assert overlap(answer, other) == pytest.approx(f1)
    assert overlap(other, answer) == pytest.approx(f1)
