"""Names of fields that are misspelled or in the wrong place, and those that belong to somebody else."""

from collections.abc import Callable
from typing import Any

import pytest

from serve.qa.types import Parameters
from tests.unit.serve.api.body.requests import ITEM, parsed, refusal


def test_unknown_fields_are_ignored_outside_of_parameters() -> None:
    foreign = ("id", "answers", "question_id", "context_id", "version_id", "question1", "questioner", "input", "title")
    request = parsed(**ITEM, **dict.fromkeys(foreign, 1))
    assert (request.questions[0].text, request.questions[0].parameters) == ("Who?", Parameters())
    assert len(parsed(inputs=[{**ITEM, **dict.fromkeys(foreign, 1)}]).questions) == 1


@pytest.mark.parametrize("name", ["top_k", "max_seq_len", "handle_impossible_answer", "align_to_words"])
@pytest.mark.parametrize(
    ("form", "path"),
    [
        (lambda extra: {**ITEM, **extra}, ""),
        (lambda extra: {"inputs": ITEM, **extra}, ""),
        (lambda extra: {"inputs": [ITEM], **extra}, ""),
        (lambda extra: {"instances": [ITEM], **extra}, ""),
        (lambda extra: {"inputs": {**ITEM, **extra}}, "inputs."),
        (lambda extra: {"inputs": [ITEM, {**ITEM, **extra}]}, "inputs.1."),
        (lambda extra: {"instances": [{**ITEM, **extra}]}, "instances.0."),
    ],
)
def test_a_parameter_in_the_wrong_place_is_refused_with_the_right_place(
    form: Callable[[dict[str, Any]], dict[str, Any]], path: str, name: str
) -> None:
    message = refusal(**form({name: 1}))
    assert message == f'{path}{name}: belongs into parameters: "parameters": {{"{name}": ...}}'


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("paramters", "parameters"),
        ("Parameters", "parameters"),
        ("parameter", "parameters"),
        ("params", "parameters"),
        ("topk", "top_k"),
        ("topK", "top_k"),
        ("top-k", "top_k"),
        ("Precision", "precision"),
        ("precison", "precision"),
        ("Version", "precision"),
        ("verison", "precision"),
        ("tpo_k", "top_k"),
        ("to_k", "top_k"),
        ("TOP_K", "top_k"),
        ("n_best_size", "top_k"),
        ("max_answer_length", "max_answer_len"),
        ("max_seq_length", "max_seq_len"),
        ("max_query_length", "max_question_len"),
        ("stride", "doc_stride"),
    ],
)
def test_a_misspelled_name_is_refused_with_the_name_that_is_meant(name: str, meant: str) -> None:
    advice = f'{meant}, as in "parameters": {{"{meant}": ...}}' if meant in Parameters.__slots__ else meant
    wrong = f"a field of the request has a name that is not known; did you mean {advice}?"
    assert refusal(**ITEM, **{name: 1}) == wrong
    message = refusal(inputs=[ITEM, {**ITEM, name: 1}])
    assert message == f"inputs.1: a field has a name that is not known; did you mean {advice}?"
    if meant in Parameters.__slots__:
        wrong = f"parameters: has a name that is not known; did you mean {meant}?"
        assert refusal(**ITEM, parameters={name: 1}) == wrong


def test_a_name_of_ours_in_the_wrong_object_is_refused_with_the_right_one() -> None:
    assert refusal(**ITEM, parameters={"precision": "FP32"}) == (
        "parameters: precision belongs beside parameters, and not into it"
    )
    assert refusal(instances=[{"inputs": ITEM}]) == (
        "instances.0.inputs: belongs at the top of the request, and not into an item"
    )


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({**ITEM, "parameters": {"topk": 1}}, "parameters"),
        ({"inputs": ITEM, "parameters": {"topk": 1}}, "parameters"),
        ({"inputs": {**ITEM, "parameters": {"topk": 1}}}, "inputs.parameters"),
        ({"inputs": [ITEM, {**ITEM, "parameters": {"topk": 1}}]}, "inputs.1.parameters"),
        ({"instances": [ITEM], "parameters": {"topk": 1}}, "parameters"),
        ({"instances": [{**ITEM, "parameters": {"topk": 1}}]}, "instances.0.parameters"),
    ],
)
def test_an_unknown_parameter_is_refused_with_its_path(body: dict[str, Any], path: str) -> None:
    assert refusal(**body) == f"{path}: has a name that is not known; did you mean top_k?"


def test_an_unknown_parameter_is_not_repeated() -> None:
    message = refusal(**ITEM, parameters={"xyz" * 1_000_000: 1})
    assert "xyz" not in message
    assert "the known names are top_k, max_answer_len" in message
    assert len(message) < 300


def test_one_of_many_unknown_parameters_is_enough() -> None:
    message = refusal(**ITEM, parameters={"top_k": 2, **{f"p{number}": 1 for number in range(1000)}})
    assert message.startswith("parameters: has a name that is not known")
