"""The forms of requests and responses."""

import json
from typing import Any

import pytest

from serve.api.body.parse import ParsedRequest, parse
from serve.api.schemas import PARAMETER_NAMES
from serve.errors import InvalidRequest
from serve.qa.types import Answer, AnsweredQuestion, Parameters, Question
from tests.unit.serve.api.body.requests import ITEM, LIMITS, parsed, refusal

FIRST, SECOND = Answer("Zoë", 0.75, 0, 3), Answer("did", 0.125, 4, 7)


def answered(request: ParsedRequest, *answers: Answer) -> Any:
    return request.response_body(
        [AnsweredQuestion(question, question.precision or "INT8", list(answers)) for question in request.questions]
    )


def test_sample_form() -> None:
    request = parsed(**ITEM, version="fp32", parameters={"top_k": 2})
    assert (request.form, request.is_list) == ("sample", False)
    assert request.questions == [Question("Who?", "Zoë did.", "FP32", Parameters(top_k=2))]
    assert answered(request, FIRST, SECOND) == {
        "question": "Who?",
        "answer": "Zoë",
        "score": 0.75,
        "start": 0,
        "end": 3,
        "precision": "FP32",
        "version": "FP32",
        "answers": [
            {"answer": "Zoë", "score": 0.75, "start": 0, "end": 3},
            {"answer": "did", "score": 0.125, "start": 4, "end": 7},
        ],
    }


def test_sample_form_has_no_list_of_answers_if_one_answer_is_wanted() -> None:
    assert answered(parsed(**ITEM), FIRST) == {
        "question": "Who?",
        "answer": "Zoë",
        "score": 0.75,
        "start": 0,
        "end": 3,
        "precision": "INT8",
        "version": "INT8",
    }


def test_hugging_face_form_with_one_item() -> None:
    request = parsed(inputs=ITEM)
    assert (request.form, request.is_list, len(request.questions)) == ("huggingface", False, 1)
    assert answered(request, FIRST) == {"score": 0.75, "start": 0, "end": 3, "answer": "Zoë"}


def test_hugging_face_form_answers_a_list_with_a_list() -> None:
    for inputs in ([ITEM], [ITEM, ITEM, ITEM]):
        request = parsed(inputs=inputs)
        assert (request.form, request.is_list, len(request.questions)) == ("huggingface", True, len(inputs))
        assert answered(request, FIRST) == [{"score": 0.75, "start": 0, "end": 3, "answer": "Zoë"}] * len(inputs)


@pytest.mark.parametrize("answers", [(FIRST,), (FIRST, SECOND)])
def test_hugging_face_form_returns_a_list_if_top_k_is_above_1_even_for_one_answer(answers: tuple[Answer, ...]) -> None:
    one = answered(parsed(inputs=ITEM, parameters={"top_k": 2}), *answers)
    several = answered(parsed(inputs=[ITEM], parameters={"top_k": 2}), *answers)
    assert [each["answer"] for each in one] == [answer.answer for answer in answers]
    assert several == [one]


def test_instances_form() -> None:
    request = parsed(instances=[ITEM, {**ITEM, "question": "What?"}])
    assert (request.form, request.is_list) == ("instances", True)
    predictions = answered(request, FIRST)["predictions"]
    assert [each["question"] for each in predictions] == ["Who?", "What?"]
    assert predictions[0] == answered(parsed(**ITEM), FIRST)


def test_an_empty_list_has_an_empty_answer() -> None:
    assert answered(parsed(inputs=[])) == []
    assert answered(parsed(instances=[])) == {"predictions": []}
    assert answered(parsed(question=[], context="Zoë did.")) == []


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_version_and_parameters_of_an_item_win_over_those_of_the_request(key: str) -> None:
    items = [
        ITEM,
        {**ITEM, "version": "fp32"},
        {**ITEM, "parameters": {"max_answer_len": 5}},
        {**ITEM, "version": None, "parameters": None},
    ]
    request = parsed(**{key: items}, version="bf16", parameters={"top_k": 3})
    assert [question.precision for question in request.questions] == ["BF16", "FP32", "BF16", "BF16"]
    top, own = Parameters(top_k=3), Parameters(max_answer_len=5)
    assert [question.parameters for question in request.questions] == [top, top, own, top]


def test_version_and_parameters_of_a_single_input_win_over_those_of_the_request() -> None:
    own = parsed(inputs={**ITEM, "version": "FP32", "parameters": {"top_k": 2}}, version="INT8", parameters={})
    assert (own.questions[0].precision, own.questions[0].parameters) == ("FP32", Parameters(top_k=2))
    top = parsed(inputs=ITEM, version="INT8", parameters={"top_k": 7})
    assert (top.questions[0].precision, top.questions[0].parameters) == ("INT8", Parameters(top_k=7))


@pytest.mark.parametrize("version", ["INT8", "int8", "Bf16", "fp32"])
def test_a_version_is_accepted_in_any_case(version: str) -> None:
    assert parsed(**ITEM, version=version).questions[0].precision == version.upper()


def test_the_one_form_that_is_not_empty_counts() -> None:
    empty = {"question": "", "context": "", "inputs": [], "instances": None}
    assert parsed(**{**empty, **ITEM}).form == "sample"
    assert len(parsed(**{**empty, "inputs": [ITEM, ITEM]}).questions) == 2
    assert parsed(**{**empty, "inputs": ITEM}).is_list is False
    assert parsed(**{**empty, "instances": [ITEM]}).form == "instances"
    assert parsed(**empty).questions == []
    assert answered(parsed(inputs={}, instances=[], question=None)) == {"predictions": []}
    assert refusal(inputs={}, question="") == "inputs.question: is missing"
    assert refusal(inputs=ITEM, context="Zoë did.").startswith("the request has inputs and context, which belong to")
    for two in ({**ITEM, "inputs": ITEM}, {**ITEM, "instances": [ITEM]}, {"inputs": [ITEM], "instances": [ITEM]}):
        assert "which belong to different forms; send question and context, inputs alone, or" in refusal(**two)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "the request has none of question, inputs and instances; send one question as"),
        ({"inptus": ITEM}, "did you mean inputs?"),
        ({"Question": "Who?", "text": "Zoë did."}, "did you mean question?"),
        ({"version": "v2.0", "data": []}, "python -m tools.invoke --data FILE"),
    ],
)
def test_a_request_without_any_form_is_told_the_forms(body: dict[str, Any], message: str) -> None:
    assert message in refusal(**body)


def test_the_form_is_known_also_of_a_request_that_is_refused() -> None:
    for body, form in (
        ({**ITEM, "top_k": 3}, "sample"),
        ({"inputs": [3]}, "huggingface"),
        ({"instances": [{**ITEM, "version": "INT4"}]}, "instances"),
    ):
        forms: list[str] = []
        with pytest.raises(InvalidRequest):
            parse(json.dumps(body).encode(), LIMITS, forms.append)
        assert forms == [form]


def test_precision_and_version_are_two_names_for_the_same_thing() -> None:
    for body in ({"precision": "fp32"}, {"version": "fp32"}, {"precision": "FP32", "version": "fp32"}):
        assert parsed(**ITEM, **body).questions[0].precision == "FP32"
        assert parsed(inputs=[ITEM], **body).questions[0].precision == "FP32"
    assert "send precision only" in refusal(**ITEM, precision="FP32", version="INT8")


def test_lists_of_questions_and_contexts_are_answered_as_in_hugging_faces_pipeline() -> None:
    for body in (
        {"question": ["Who?", "What?"], "context": "Zoë did."},
        {"question": ["Who?", "What?"], "context": ["Zoë did.", "Zoë did."]},
    ):
        for request in (parsed(inputs=body, precision="FP32"), parsed(**body, precision="FP32")):
            assert (request.form, request.is_list) == ("huggingface", True)
            assert request.questions == [Question(text, "Zoë did.", "FP32") for text in ("Who?", "What?")]
            assert len(answered(request, FIRST)) == 2


@pytest.mark.parametrize("name", PARAMETER_NAMES)
def test_a_parameter_that_is_null_has_its_default(name: str) -> None:
    assert parsed(**ITEM, parameters={name: None}).questions[0].parameters == Parameters()


def test_a_whole_number_may_be_written_with_a_decimal_point() -> None:
    (question,) = parsed(**ITEM, parameters={"top_k": 3.0, "max_seq_len": 128.0}).questions
    assert (question.parameters.top_k, question.parameters.max_seq_len) == (3, 128)
