"""The answer to the first question is shown in one line, whatever the endpoint's default task is."""

from typing import Any

import pytest

from tools.deploy.steps.serving.first_question import shown

FOUND = [{"text": "Zoë did.", "score": 0.5}, {"text": "So she did.", "score": 0.75}]


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"answer": "Zoë", "score": 0.98765}, "Zoë (INT8, score 0.99)"),
        ({"answer": "", "score": 0.5}, " (INT8, score 0.50)"),
        ({"highlights": FOUND}, "Zoë did. So she did. (INT8, score 0.75)"),
        ({"highlights": []}, "(no sentence is highlighted, INT8)"),
    ],
)
def test_answers_and_highlights_are_shown(answer: dict[str, Any], line: str) -> None:
    assert shown({**answer, "version": "INT8"}) == line
