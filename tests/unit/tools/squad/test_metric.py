"""SQuAD's official metric, checked against examples and against its definition."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.qa.answer_overlap import normalize_answer
from tools.squad.metric import exact_match, exact_match_v2, f1, f1_v2


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("The Cat", "cat"),
        ("a cat and an owl", "cat and owl"),
        ("theatre anthem", "theatre anthem"),
        ("the", ""),
        ("A", ""),
        ("a-b", "ab"),  # punctuation is removed before articles
        ("(the) end", "end"),
        ("U.S.A.", "usa"),
        ("a.m.", "am"),
        ("  many \t\n spaces ", "many spaces"),
        ("non\xa0breaking", "non breaking"),
        ("$1,000.50", "100050"),
        ("it's", "its"),
        ("“quoted”", "“quoted”"),  # only ASCII punctuation is removed
        ("1871–1902", "1871–1902"),
        ("red–the–white", "red– –white"),  # an article is replaced by a space
        ("ZOË MÜLLER", "zoë müller"),
        ("东京", "东京"),
        ("", ""),
        ("...", ""),
    ],
)
def test_an_answer_is_normalized_as_the_official_script_does(text: str, normalized: str) -> None:
    assert normalize_answer(text) == normalized


@pytest.mark.parametrize(
    ("answer", "gold", "score"),
    [
        ("Zoë Müller", ["Zoë Müller"], 1.0),
        ("the engineer, Zoë Müller.", ["The Engineer Zoë Müller"], 1.0),
        ("Zoe Muller", ["Zoë Müller"], 0.0),
        ("Müller Zoë", ["Zoë Müller"], 0.0),
        ("42 metres", ["42", "42 metres", "forty-two"], 1.0),
        ("42 metres", ["42", "metres"], 0.0),
        ("", ["x"], 0.0),
        ("the", [""], 1.0),
        ("", [], 0.0),
    ],
)
def test_exact_match_takes_the_best_gold_answer(answer: str, gold: list[str], score: float) -> None:
    assert exact_match(answer, gold) == score


@pytest.mark.parametrize(
    ("answer", "gold", "score"),
    [
        ("Zoë Müller", ["Zoë Müller"], 1.0),
        ("Müller Zoë", ["Zoë Müller"], 1.0),
        ("The Zoë!", ["zoë"], 1.0),
        ("the engineer Zoë Müller", ["Zoë Müller"], 2 * (2 / 3) * 1 / (2 / 3 + 1)),
        ("Zoë", ["Zoë Müller"], 2 * 1 * (1 / 2) / (1 + 1 / 2)),
        ("red", ["white"], 0.0),
        ("no no no", ["no"], 2 * (1 / 3) * 1 / (1 / 3 + 1)),  # a repeated word counts as often as it is in both
        ("no no yes", ["no no"], 2 * (2 / 3) * 1 / (2 / 3 + 1)),
        ("red white", ["green", "red", "red blue green"], 2 * (1 / 2) * 1 / (1 / 2 + 1)),
        ("", ["x"], 0.0),
        ("x", [""], 0.0),
        ("the", ["a"], 0.0),  # v1.1 scores two answers without words 0
        ("x", [], 0.0),
    ],
)
def test_f1_is_the_best_overlap_of_words(answer: str, gold: list[str], score: float) -> None:
    assert f1(answer, gold) == pytest.approx(score)


@pytest.mark.parametrize(
    ("answer", "gold", "em", "overlap"),
    [
        ("", [], 1, 1),  # rightly no answer
        ("Zoë", [], 0, 0),  # an answer, but there is none
        ("the", [], 1, 1),  # an article alone counts as no answer
        ("", ["Zoë"], 0, 0),
        ("Zoë", ["Zoë Müller"], 0, 2 / 3),  # with a gold answer, the same as v1.1
        ("zoë müller!", ["The Zoë Müller", "x"], 1, 1),
        ("", ["the", "Zoë"], 0, 0),  # gold answers without words are left out;
        ("", ["the", "..."], 1, 1),  # if no other is left, there is no answer
        ("a", ["an"], 1, 1),  # v2.0 scores two answers without words 1
        ("an x", ["x y", "y"], 0, 2 / 3),
    ],
)
def test_v2_scores_no_answer_as_an_answer(answer: str, gold: list[str], em: float, overlap: float) -> None:
    assert exact_match_v2(answer, gold) == em
    assert f1_v2(answer, gold) == pytest.approx(overlap)


# Words, articles and punctuation, and letters that are hard to normalize: the dotted capital I grows in lower case.
TEXTS = st.lists(
    st.sampled_from(
        ["red", "Red", "white", "the", "The", "a", "an", "An.", "-", "...", "İ", "ß", "Zoë", "“x”", "1,000"]
    )
    | st.text(max_size=3),
    max_size=5,
).map(" ".join)


def words_by_definition(text: str) -> list[str]:
    """Normalize a text letter by letter: lower case, no ASCII punctuation, no articles, split at white space.

    An article is only removed if the characters around it are neither letters, digits nor underscores.
    """
    kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    out, run = "", ""
    for letter in kept + " ":
        if letter.isalnum() or letter == "_":
            run += letter
            continue
        out += (" " if run in ("a", "an", "the") else run) + letter
        run = ""
    return out.split()


def f1_by_definition(ours: list[str], gold: list[str]) -> float:
    left = list(gold)
    common = 0
    for word in ours:
        if word in left:
            left.remove(word)
            common += 1
    return 2 * common / (len(ours) + len(gold)) if common else 0.0


@settings(database=None, deadline=None, max_examples=500)
@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_scores_agree_with_the_official_definition(answer: str, gold: list[str]) -> None:
    ours, theirs = words_by_definition(answer), [words_by_definition(one) for one in gold]
    assert normalize_answer(answer) == " ".join(ours)
    assert exact_match(answer, gold) == (ours in theirs)
    assert f1(answer, gold) == pytest.approx(max([f1_by_definition(ours, one) for one in theirs], default=0))
    with_words = [one for one in theirs if one]
    assert exact_match_v2(answer, gold) == (ours in with_words if with_words else not ours)
    expected = max(f1_by_definition(ours, one) for one in with_words) if with_words else float(not ours)
    assert f1_v2(answer, gold) == pytest.approx(expected)
