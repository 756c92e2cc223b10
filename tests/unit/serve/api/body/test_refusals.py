"""Values that are missing, wrong or too many: each refusal names the path to what is wrong."""

import json
from typing import Any

import pytest

from serve.api.body.items import Limits
from serve.api.body.parse import parse, parse_as
from serve.api.model_schemas import MODEL_NAME_RULE, LoadRequest
from serve.errors import InvalidRequest, MalformedBody, PayloadTooLarge
from tests.unit.serve.api.body.requests import ITEM, LIMITS, parsed, refusal


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_k", 0),
        ("top_k", 101),
        ("top_k", 1.5),
        ("top_k", "1"),
        ("top_k", True),
        ("top_k", 10**30),
        ("max_answer_len", 0),
        ("max_seq_len", 15),
        ("doc_stride", -1),
        ("max_question_len", 0),
        ("handle_impossible_answer", 1),
        ("align_to_words", "yes"),
    ],
)
def test_a_parameter_of_the_wrong_type_or_size_is_refused(name: str, value: object) -> None:
    assert refusal(**ITEM, parameters={name: value}).startswith(f"parameters.{name}: ")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"question": "Who?"}, "context"),
        ({"context": "Zoë did."}, "question"),
        ({**ITEM, "question": None}, "question"),
        ({**ITEM, "question": 5}, "question"),
        ({**ITEM, "context": ["Zoë did."]}, "question"),
        ({"question": ["Who?"]}, "context"),
        ({"question": ["Who?"], "context": 5}, "context"),
        ({"question": ["Who?"], "context": ["", "Zoë did."][:1]}, "context.0"),
        ({**ITEM, "question": ["Who?"], "parameters": []}, "parameters"),
        ({**ITEM, "question": ["Who?", 5]}, "question.1"),
        ({"inputs": {**ITEM, "question": ["Who?", ""]}}, "inputs.question.1"),
        ({"inputs": [{**ITEM, "question": ["Who?"]}]}, "inputs.0.question"),
        ({**ITEM, "precision": "INT4"}, "precision"),
        ({**ITEM, "version": "INT4"}, "version"),
        ({**ITEM, "version": 8}, "version"),
        ({**ITEM, "parameters": []}, "parameters"),
        ({"inputs": "Who?"}, "inputs"),
        ({"inputs": None}, "inputs"),
        ({"inputs": {"question": "Who?"}}, "inputs.context"),
        ({"inputs": [ITEM, 5]}, "inputs.1"),
        ({"inputs": [ITEM, {"question": "Who?"}]}, "inputs.1.context"),
        ({"inputs": ITEM, "version": "INT4"}, "version"),
        ({"instances": ITEM}, "instances"),
        ({"instances": [ITEM, {**ITEM, "version": "INT4"}]}, "instances.1.version"),
    ],
)
def test_a_field_that_is_missing_or_of_the_wrong_type_is_refused_with_its_path(body: dict[str, Any], path: str) -> None:
    assert refusal(**body).startswith(f"{path}: ")


@pytest.mark.parametrize("field", ["question", "context"])
@pytest.mark.parametrize("text", ["", " ", "\t\n\r ", "\u3000\u2028\xa0"])
def test_a_blank_text_is_refused_with_a_plain_message(field: str, text: str) -> None:
    assert refusal(**{**ITEM, field: text}) == f"{field}: must contain more than white space"


def test_a_refusal_contains_no_text_of_the_request() -> None:
    secret = "Xylophonist"
    for body in (
        {"question": secret},
        {"question": secret, "context": " "},
        {"question": [secret], "context": []},
        {"question": secret, "context": [secret]},
        {**ITEM, "paramters": secret},
        {**ITEM, secret: 1, "top_k": 1},
        {**ITEM, "version": secret},
        {**ITEM, "parameters": {"top_k": secret}},
        {"inputs": secret},
    ):
        assert secret not in refusal(**body)
    with pytest.raises(MalformedBody) as caught:
        parse(f'{{"question": "{secret}'.encode(), LIMITS)
    assert secret not in str(caught.value)


@pytest.mark.parametrize("name", ["inputs", "instances"])
def test_the_first_item_that_is_wrong_is_named(name: str) -> None:
    items = [ITEM, {"question": "Who?"}, 3]
    assert refusal(**{name: items}) == f"{name}.1.context: is missing"
    assert refusal(**{name: [ITEM, 3]}) == f"{name}.1: must be an object"


def test_lists_of_different_lengths_are_refused() -> None:
    message = refusal(question=["Who?", "What?"], context=["Zoë did."])
    assert message.startswith("question: is a list of 2, and context a list of 1")
    assert refusal(question="Who?", context=["Zoë did."]).startswith("question: must be a list too")


@pytest.mark.parametrize("name", ["a/b", "..", ".", " ", "a\0b", "a\nb"])
def test_a_model_name_that_cannot_stand_in_a_path_or_a_metric_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_as(LoadRequest, json.dumps({"model_name": name, "url": "/models"}).encode(), "{}")
    assert str(caught.value) == f"model_name: {MODEL_NAME_RULE}"


@pytest.mark.parametrize("items", [3, 4])
def test_a_request_may_have_as_many_items_as_the_limit_and_no_more(items: int) -> None:
    body = json.dumps({"instances": [{"question": "a", "context": "b"}] * items}).encode()
    limits = Limits(max_items=3, max_characters=10_000)
    if items == 3:
        assert len(parse(body, limits).questions) == 3
    else:
        with pytest.raises(PayloadTooLarge, match="4 items, and 3 are allowed"):
            parse(body, limits)


def test_a_request_may_have_as_many_characters_as_the_limit_and_no_more() -> None:
    limits = Limits(max_items=1, max_characters=100)
    assert parse(json.dumps({"question": "a", "context": "b" * 99}).encode(), limits)
    with pytest.raises(PayloadTooLarge, match="101 characters of text, and 100 are allowed"):
        parse(json.dumps({"question": "a", "context": "b" * 100}).encode(), limits)


def test_a_context_that_several_questions_share_counts_for_each_of_them() -> None:
    with pytest.raises(PayloadTooLarge, match="has 30000 characters of text"):
        parsed(question=["Who?"] * 1_000, context="Zoë did it, says the text.")
