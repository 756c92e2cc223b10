"""Precision, recall and F1 of highlighted sentences, on made-up scores."""

import json
from pathlib import Path

import numpy as np
import pytest

from tools.errors import ToolError
from tools.evaluate.highlights.measure import Measured, Rated, agreement, read_answers


def sets(*groups: str) -> list[frozenset[int]]:
    return [frozenset(map(int, group)) for group in groups]


@pytest.mark.parametrize(
    ("highlighted", "gold", "expected"),
    [
        ("0", ["0"], (1, 1, 1)),
        ("01", ["0"], (0.5, 1, 2 / 3)),
        ("0", ["01"], (1, 0.5, 2 / 3)),
        ("2", ["0", "1"], (0, 0, 0)),
        ("12", ["0", "1", "12"], (1, 1, 1)),  # the gold answer that fits best counts
        ("", ["0"], (0, 0, 0)),
        ("", [], (1, 1, 1)),
        ("0", [], (0, 0, 0)),
    ],
)
def test_agreement(highlighted: str, gold: list[str], expected: tuple[float, float, float]) -> None:
    (found,) = sets(highlighted)
    assert agreement(found, sets(*gold)) == pytest.approx(expected)


def rated(scores: list[float], gold: list[str], has_answer: bool = True) -> Rated:
    return Rated(tuple(sets(*gold)), np.array(scores), has_answer, False, False)


def test_the_highlights_are_those_of_the_server() -> None:
    each = rated([0.1, 0.3, 0.05, 0.2, 0.15, 0.12], [])
    assert each.highlighted(0.12) == {1, 3, 4, 5}
    assert each.highlighted(0.0) == {0, 1, 3, 4, 5}  # at most five
    assert rated([0.9], [], has_answer=False).highlighted(0.1) == frozenset()


def test_the_means_are_over_all_questions() -> None:
    questions = [rated([0.6, 0.3], ["0"]), rated([0.2, 0.7], ["0"]), rated([0.9], [], has_answer=False)]
    assert Measured.of(questions, 0.5) == Measured(2 / 3, 2 / 3, 2 / 3, 2 / 3)


def squad(folder: Path, start: int) -> str:
    qa = {"id": "a", "question": "Who?", "answers": [{"text": "Zoë", "answer_start": start}]}
    none = {"id": "b", "question": "Why?", "answers": [], "is_impossible": True}
    file = folder / "squad.json"
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": "🚢 Zoë did.", "qas": [qa, none]}]}]}))
    return str(file)


def test_answers_have_places(tmp_path: Path) -> None:
    first, second = read_answers(squad(tmp_path, 2))
    assert (first.answers, second.answers) == (((2, 5),), ())


def test_an_answer_that_does_not_stand_at_its_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="the question a has an answer that does not stand at its answer_start"):
        read_answers(squad(tmp_path, 3))
