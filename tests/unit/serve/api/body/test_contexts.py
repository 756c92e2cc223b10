"""Items with several passages: each form takes them, and what is wrong with them is said."""

import json
from typing import Any

import pytest

from serve.api.body.items import Limits
from serve.api.body.parse import parse
from serve.errors import PayloadTooLarge
from serve.qa.types import Answer, AnsweredQuestion, Parameters, Question
from tests.unit.serve.api.body.requests import ITEM, parsed, refusal

PASSAGES = ["Zoë did.", "Nobody.", "🚢"]
MANY = {"question": "Who?", "contexts": PASSAGES}
QUESTION = Question("Who?", "Zoë did.Nobody.🚢", passage_ends=(8, 15, 16))


@pytest.mark.parametrize("body", [MANY, {"inputs": MANY}, {"inputs": [MANY]}, {"instances": [MANY]}])
def test_each_form_takes_passages(body: dict[str, Any]) -> None:
    assert parsed(**body).questions == [QUESTION]


def test_items_with_passages_and_with_a_context_can_stand_in_one_list() -> None:
    for name in ("inputs", "instances"):
        request = parsed(**{name: [ITEM, {**MANY, "parameters": {"top_k": 2}, "version": "fp32"}]}, precision="int8")
        assert [question.passage_ends for question in request.questions] == [(), (8, 15, 16)]
        assert request.questions[1].parameters == Parameters(top_k=2)
        assert [question.precision for question in request.questions] == ["INT8", "FP32"]


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_of_context_and_contexts_the_one_that_is_not_empty_counts(empty: object) -> None:
    assert parsed(**MANY, context=empty).questions == [QUESTION]
    assert parsed(**ITEM, contexts=empty).questions == [Question("Who?", "Zoë did.")]
    assert parsed(inputs={**MANY, "context": empty}).questions == [QUESTION]
    assert parsed(inputs=[{**ITEM, "contexts": empty}]).questions == [Question("Who?", "Zoë did.")]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({**MANY, "contexts": []}, "contexts: must not be empty"),
        ({**MANY, "contexts": ["a", "b", "c", " \n"]}, "contexts.3: must contain more than white space"),
        ({**MANY, "contexts": ["a", ""]}, "contexts.1: must contain more than white space"),
        ({**MANY, "contexts": ["a", 5]}, "contexts.1: must be a string"),
        ({**MANY, "contexts": ["a", None]}, "contexts.1: must be a string"),
        ({**MANY, "contexts": [["a"]]}, "contexts.0: must be a string"),
        ({**MANY, "contexts": "a"}, "contexts: must be a list"),
        ({**MANY, "contexts": {"a": "b"}}, "contexts: must be a list"),
        ({**MANY, "context": "a"}, "contexts: stands beside context; send one of the two"),
        ({"contexts": PASSAGES}, "question: is missing"),
        ({**MANY, "question": " "}, "question: must contain more than white space"),
    ],
)
def test_what_is_wrong_with_passages_is_said_with_its_path(item: dict[str, Any], message: str) -> None:
    assert refusal(**item) == message
    assert refusal(inputs=item) == f"inputs.{message}"
    assert refusal(inputs=[ITEM, item]) == f"inputs.1.{message}"
    assert refusal(instances=[ITEM, ITEM, item]) == f"instances.2.{message}"


def test_passages_cannot_stand_beside_a_list_of_questions() -> None:
    for body in ({**MANY, "question": ["Who?"]}, {"question": ["Who?"], "context": ["a"], "contexts": ["b"]}):
        assert refusal(**body).startswith("contexts: cannot stand beside a list of questions or contexts")
        assert refusal(inputs=body).startswith("inputs.contexts: cannot stand beside a list of questions or contexts")
    assert refusal(**MANY, inputs=[ITEM]).startswith("the request has inputs and question and contexts, which belong")


def test_each_passage_counts_as_an_item_and_with_its_characters() -> None:
    def refused(limits: Limits, **body: Any) -> str:
        with pytest.raises(PayloadTooLarge) as caught:
            parse(json.dumps(body).encode(), limits)
        return str(caught.value)

    few, short = Limits(2, 10_000), Limits(1000, 15)
    assert refused(few, **MANY) == (
        "the request has 3 passages, and 2 are allowed; split it into several requests, or raise MAX_ITEMS"
    )
    assert refused(Limits(4, 10_000), inputs=[MANY, MANY]).startswith("the request has 6 items and passages, and 4")
    assert len(parse(json.dumps({"inputs": [MANY, ITEM]}).encode(), Limits(4, 10_000)).questions) == 2
    for body in (MANY, {"inputs": MANY}, {"inputs": [MANY]}):
        assert refused(short, **body).startswith("the request has 20 characters of text, and 15 are allowed")


def test_every_form_has_the_index_of_the_passage() -> None:
    answer = Answer("Nobody", 0.5, 0, 6, {"context_index": 1})
    expected = {"score": 0.5, "start": 0, "end": 6, "answer": "Nobody", "context_index": 1}

    def body(**request: Any) -> Any:
        parsed_request = parsed(**request)
        return parsed_request.response_body([AnsweredQuestion(QUESTION, "INT8", [answer])])

    assert body(inputs=MANY) == expected
    assert body(inputs=[MANY]) == [expected]
    sample = {**expected, "question": "Who?", "precision": "INT8", "version": "INT8"}
    assert body(**MANY) == sample
    assert body(instances=[MANY]) == {"predictions": [sample]}
