"""Questions that cannot be asked as they are."""

import pytest

from serve.qa.features import Featurizer, WindowLimits
from tests.tools.demo_files import DEMO
from tools.local_model import Cutter
from tools.squad.examples import Example

LIMITS = WindowLimits(384, 128, 64)
NO_LIMIT = WindowLimits(384, 128, 10_000)
FEATURIZER = Featurizer(DEMO / "tokenizer.json")
LONG_QUESTIONS = [
    "why " * 65,
    "Why did the internationalization of incomprehensibilities " * 9 + "?",
    "  Who, " + "who! " * 70,
    "word " * 5_000,
]


def ids(question: str) -> list[int]:
    found: list[int] = FEATURIZER.encode_question(question[:10_000], NO_LIMIT).tolist()
    return found


@pytest.mark.parametrize("question", LONG_QUESTIONS)
def test_a_long_question_is_cut_after_64_tokens(question: str) -> None:
    cutter = Cutter(FEATURIZER, LIMITS)
    fitted = cutter.fitted(Example("long", question, "text", ()))
    assert fitted
    assert ids(fitted.question) == ids(question)[:64]
    assert cutter.question_limit.notes() == ["1 question(s) with more than 64 tokens were cut after 64 tokens"]


def test_a_question_that_fits_is_not_changed() -> None:
    cutter = Cutter(FEATURIZER, LIMITS)
    example = Example("short", " " + "why " * 64, "text", ())
    assert cutter.fitted(example) is example
    assert cutter.question_limit.notes() == []


@pytest.mark.parametrize("question", ["", " \n", "\u200b", " " * 20_000])
def test_a_question_without_words_cannot_be_asked(question: str) -> None:
    cutter = Cutter(FEATURIZER, LIMITS)
    assert cutter.fitted(Example("blank", question, "text", ())) is None
    assert cutter.question_limit.blank == {"blank"}
