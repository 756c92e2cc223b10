"""Files in SQuAD's format."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tools.demo_files import DEMO
from tools.errors import ToolError
from tools.squad.examples import Example, read_articles, read_examples
from tools.squad.rules import EVALUATION_RULES, is_v2, rules_for

QA = {"id": "q1", "question": "Who?", "answers": [{"text": "Zoë", "answer_start": 0}, {"text": "Zoë M."}]}
PARAGRAPH = {"context": "Zoë did.", "qas": [QA]}


def write(directory: Path, content: object) -> str:
    path = directory / "squad.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(path)


def test_the_examples_of_each_article_are_kept_together(tmp_path: Path) -> None:
    other = {"context": "Nobody did.", "qas": [{**QA, "id": "q2"}, {**QA, "id": "q3"}]}
    source = write(tmp_path, {"data": [{"paragraphs": [PARAGRAPH, other]}, {"paragraphs": [other]}]})
    assert [[example.id for example in article] for article in read_articles(source)] == [
        ["q1", "q2", "q3"],
        ["q2", "q3"],
    ]


def test_examples_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    other = {"context": "Nobody did.", "qas": [{"id": 7, "question": "What?", "answers": []}, {**QA, "id": "q3"}]}
    source = write(tmp_path, {"version": "1.1", "data": [{"title": "x", "paragraphs": [PARAGRAPH, other]}]})
    assert read_examples(source) == [
        Example("q1", "Who?", "Zoë did.", ("Zoë", "Zoë M.")),
        Example("7", "What?", "Nobody did.", ()),
        Example("q3", "Who?", "Nobody did.", ("Zoë", "Zoë M.")),
    ]


def test_the_demo_models_held_out_contexts_contain_their_answers() -> None:
    examples = read_examples(str(DEMO / "held_out.json"))
    assert len(examples) > 100
    assert len({example.id for example in examples}) == len(examples)
    assert all(answer in example.context for example in examples for answer in example.answers)


def test_the_demo_models_calibration_and_held_out_examples_share_no_context() -> None:
    calibration, held_out = (read_examples(str(DEMO / name)) for name in ("calibration.json", "held_out.json"))
    assert len(calibration) + len(held_out) >= 300
    assert not {example.context for example in calibration} & {example.context for example in held_out}
    assert all(answer in example.context for example in calibration + held_out for answer in example.answers)


def test_a_file_without_articles_has_no_examples(tmp_path: Path) -> None:
    assert read_examples(write(tmp_path, {"data": []})) == []


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_an_unreadable_file_raises_an_error_with_its_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolError, match=f"cannot read {tmp_path}"):
        read_examples(str(tmp_path / name))


@pytest.mark.parametrize(
    "says_no_answer",
    [
        {"answers": []},
        {"answers": [{"text": ""}]},
        {"answers": [{"text": " "}, {"text": ""}]},
        {"is_impossible": True, "answers": []},
        {"is_impossible": True, "answers": [{"text": "", "answer_start": 0}]},
        {"is_impossible": True, "answers": [{"text": "Zoë", "answer_start": 0}]},
        {"is_impossible": True, "plausible_answers": [{"text": "Zoë", "answer_start": 0}]},
        {"is_impossible": None, "answers": []},
    ],
)
def test_a_file_says_in_three_ways_that_a_question_has_no_answer(
    tmp_path: Path, says_no_answer: dict[str, Any]
) -> None:
    source = write(
        tmp_path, in_data({"context": "Zoë did.", "qas": [QA, {"id": "no", "question": "Who?", **says_no_answer}]})
    )
    examples = read_examples(source)
    assert [one.answers for one in examples] == [("Zoë", "Zoë M."), ()]
    assert is_v2(examples)
    assert rules_for(examples).handle_impossible_answer


def test_a_file_whose_questions_all_have_answers_keeps_the_rules_of_v1(tmp_path: Path) -> None:
    examples = read_examples(write(tmp_path, in_data({**PARAGRAPH, "qas": [QA, {**QA, "is_impossible": False}]})))
    assert not is_v2(examples)
    assert rules_for(examples) == EVALUATION_RULES


@pytest.mark.parametrize(
    ("contradiction", "reason"),
    [
        ({"is_impossible": False, "answers": []}, "is_impossible is false, but it has no answer"),
        ({"is_impossible": False, "answers": [{"text": ""}]}, "is_impossible is false, but it has no answer"),
        ({"answers": [{"text": "Zoë"}, {"text": ""}]}, "beside the answer 'Zoë'"),
    ],
)
def test_a_question_that_contradicts_itself_is_named(
    tmp_path: Path, contradiction: dict[str, Any], reason: str
) -> None:
    source = write(tmp_path, in_data({**PARAGRAPH, "qas": [QA, {"id": "q17", "question": "Who?", **contradiction}]}))
    with pytest.raises(ToolError, match=f"squad.json: the question q17 contradicts itself: .*{reason}"):
        read_examples(source)


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
        in_data({**PARAGRAPH, "qas": [{**QA, "is_impossible": "false"}]}),
        in_data({**PARAGRAPH, "qas": [{**QA, "is_impossible": 0}]}),
        in_data({**PARAGRAPH, "qas": [{**QA, "answers": [{"answer_start": 0}]}]}),
        in_data({**PARAGRAPH, "qas": [{**QA, "answers": {"text": ["Zoë"], "answer_start": [0]}}]}),
    ],
)
def test_a_file_of_another_format_raises_an_error_that_describes_the_format(tmp_path: Path, content: object) -> None:
    with pytest.raises(ToolError, match=r"squad\.json is not in SQuAD's format \(data > paragraphs"):
        read_examples(write(tmp_path, content))
