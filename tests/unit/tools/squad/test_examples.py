"""SQuAD's file format and its official metric."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.qa.answer_overlap import normalize_answer
from tools.errors import ToolError
from tools.squad.examples import Example, read_articles, read_examples
from tools.squad.metric import exact_match, exact_match_v2, f1, f1_v2

QA = {"id": "q1", "question": "Who?", "answers": [{"text": "Zoë", "answer_start": 0}, {"text": "Zoë M."}]}
PARAGRAPH = {"context": "Zoë did.", "qas": [QA]}


def write(directory: Path, content: object) -> str:
    path = directory / "squad.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(path)


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("The Cat", "cat"),
        ("a cat and an owl", "cat and owl"),
        ("theatre anthem", "theatre anthem"),
        ("the", ""),
        ("A", ""),
        ("a-b", "ab"),  # punctuation goes before articles do
        ("(the) end", "end"),
        ("U.S.A.", "usa"),
        ("a.m.", "am"),
        ("  many \t\n spaces ", "many spaces"),
        ("non\xa0breaking", "non breaking"),
        ("$1,000.50", "100050"),
        ("it's", "its"),
        ("“quoted”", "“quoted”"),  # ASCII punctuation only
        ("1871–1902", "1871–1902"),
        ("red–the–white", "red– –white"),  # a space stays where an article was
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
        ("no no no", ["no"], 2 * (1 / 3) * 1 / (1 / 3 + 1)),  # a word counts as often as both have it
        ("no no yes", ["no no"], 2 * (2 / 3) * 1 / (2 / 3 + 1)),
        ("red white", ["green", "red", "red blue green"], 2 * (1 / 2) * 1 / (1 / 2 + 1)),
        ("", ["x"], 0.0),
        ("x", [""], 0.0),
        ("the", ["a"], 0.0),  # nothing in common with nothing: v1.1 scores that 0
        ("x", [], 0.0),
    ],
)
def test_f1_is_the_best_overlap_of_words(answer: str, gold: list[str], score: float) -> None:
    assert f1(answer, gold) == pytest.approx(score)


@pytest.mark.parametrize(
    ("answer", "gold", "em", "overlap"),
    [
        ("", [], 1, 1),  # no answer, rightly
        ("Zoë", [], 0, 0),  # an answer where there is none
        ("the", [], 1, 1),  # what normalises to nothing is no answer
        ("", ["Zoë"], 0, 0),
        ("Zoë", ["Zoë Müller"], 0, 2 / 3),  # with an answer, as v1.1
        ("zoë müller!", ["The Zoë Müller", "x"], 1, 1),
        ("", ["the", "Zoë"], 0, 0),  # gold answers of no words are left out,
        ("", ["the", "..."], 1, 1),  # and if no other is left, there is none
        ("a", ["an"], 1, 1),  # nothing in common with nothing: v2.0 scores that 1, v1.1 0
        ("an x", ["x y", "y"], 0, 2 / 3),
    ],
)
def test_v2_scores_no_answer(answer: str, gold: list[str], em: float, overlap: float) -> None:
    assert exact_match_v2(answer, gold) == em
    assert f1_v2(answer, gold) == pytest.approx(overlap)


# Words, articles, marks and letters that a rule might trip over: sharp s and dotted I change length in lower case.
TEXTS = st.lists(
    st.sampled_from(
        ["red", "Red", "white", "the", "The", "a", "an", "An.", "-", "...", "İ", "ß", "Zoë", "“x”", "1,000"]
    )
    | st.text(max_size=3),
    max_size=5,
).map(" ".join)


def words_by_definition(text: str) -> list[str]:
    """The official normalisation, letter by letter: lower case, no ASCII punctuation, no articles, split at space.

    An article is one that stands between characters that are neither letters, digits nor underscores.
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
def test_scores_are_those_of_the_official_definition(answer: str, gold: list[str]) -> None:
    ours, theirs = words_by_definition(answer), [words_by_definition(one) for one in gold]
    assert normalize_answer(answer) == " ".join(ours)
    assert exact_match(answer, gold) == (ours in theirs)
    assert f1(answer, gold) == pytest.approx(max([f1_by_definition(ours, one) for one in theirs], default=0))
    with_words = [one for one in theirs if one]
    assert exact_match_v2(answer, gold) == (ours in with_words if with_words else not ours)
    expected = max(f1_by_definition(ours, one) for one in with_words) if with_words else float(not ours)
    assert f1_v2(answer, gold) == pytest.approx(expected)


def test_articles_are_kept_apart(tmp_path: Path) -> None:
    other = {"context": "Nobody did.", "qas": [{**QA, "id": "q2"}, {**QA, "id": "q3"}]}
    source = write(tmp_path, {"data": [{"paragraphs": [PARAGRAPH, other]}, {"paragraphs": [other]}]})
    assert [[example.id for example in article] for article in read_articles(source)] == [
        ["q1", "q2", "q3"],
        ["q2", "q3"],
    ]


def test_examples_are_read_in_the_files_order(tmp_path: Path) -> None:
    other = {"context": "Nobody did.", "qas": [{"id": 7, "question": "What?", "answers": []}, {**QA, "id": "q3"}]}
    source = write(tmp_path, {"version": "1.1", "data": [{"title": "x", "paragraphs": [PARAGRAPH, other]}]})
    assert read_examples(source) == [
        Example("q1", "Who?", "Zoë did.", ("Zoë", "Zoë M.")),
        Example("7", "What?", "Nobody did.", ()),
        Example("q3", "Who?", "Nobody did.", ("Zoë", "Zoë M.")),
    ]


def test_the_demo_models_held_out_examples_hold_their_answers() -> None:
    examples = read_examples(str(Path(__file__).parents[4] / "models" / "demo" / "held_out.json"))
    assert len(examples) > 100
    assert len({example.id for example in examples}) == len(examples)
    assert all(answer in example.context for example in examples for answer in example.answers)


def test_a_file_without_articles_has_no_examples(tmp_path: Path) -> None:
    assert read_examples(write(tmp_path, {"data": []})) == []


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cannot_be_read_is_told_with_its_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolError, match=f"cannot read {tmp_path}"):
        read_examples(str(tmp_path / name))


def without(part: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != key}


def in_data(paragraph: object) -> dict[str, Any]:
    return {"data": [{"paragraphs": [paragraph]}]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        [],
        {},
        None,
        "text",
        {"data": None},
        {"data": {"paragraphs": []}},
        {"data": [PARAGRAPH]},
        in_data("text"),
        in_data(without(PARAGRAPH, "context")),
        in_data(without(PARAGRAPH, "qas")),
        in_data({**PARAGRAPH, "qas": [without(QA, "id")]}),
        in_data({**PARAGRAPH, "qas": [without(QA, "question")]}),
        in_data({**PARAGRAPH, "qas": [without(QA, "answers")]}),
        in_data({**PARAGRAPH, "qas": [{**QA, "answers": [{"answer_start": 0}]}]}),
        in_data({**PARAGRAPH, "qas": [{**QA, "answers": {"text": ["Zoë"], "answer_start": [0]}}]}),
    ],
)
def test_a_file_of_another_format_is_told_what_the_format_is(tmp_path: Path, content: object) -> None:
    with pytest.raises(ToolError, match=r"squad\.json is not in SQuAD's format \(data > paragraphs"):
        read_examples(write(tmp_path, content))
