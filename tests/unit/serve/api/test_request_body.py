"""Bytes to typed requests and back: media types, the forms, what is refused and how it is named."""

import json
from typing import Any

import pytest

from serve.api.request_body import JSON, JSON_LINES, ItemAnswer, ParsedRequest, check_accept, media_type, parse
from serve.api.schemas import Parameters
from serve.errors import InvalidRequest, MalformedBody, NotAcceptable, UnsupportedMediaType
from serve.qa.spans import Answer

ITEM = {"question": "Who?", "context": "Zoë did."}
FIRST, SECOND = Answer("Zoë", 0.75, 0, 3), Answer("did", 0.125, 4, 7)


def parsed(**body: Any) -> ParsedRequest:
    return parse(json.dumps(body).encode())


def refusal(**body: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**body)
    return str(caught.value)


def answered(request: ParsedRequest, *answers: Answer) -> Any:
    return request.body([ItemAnswer(item, item.version or "INT8", list(answers)) for item in request.items])


@pytest.mark.parametrize(
    ("content_type", "media"),
    [
        (None, JSON),
        ("", JSON),
        ("application/json", JSON),
        ("Application/JSON", JSON),
        (" application/json ", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/json;charset=UTF8", JSON),
        ('application/json; charset="utf-8"', JSON),
        ("application/json; charset=us-ascii", JSON),
        ("application/json; profile=x", JSON),
        ("application/json; charset=utf-8; profile=x", JSON),
        ("application/json; charset=utf-8;", JSON),
        ("application/jsonlines", JSON_LINES),
        ("application/x-jsonlines", JSON_LINES),
        ("application/jsonl", JSON_LINES),
        ("application/x-ndjson; charset=utf-8", JSON_LINES),
    ],
)
def test_json_and_json_lines_are_read(content_type: str | None, media: str) -> None:
    assert media_type(content_type, None) == media


@pytest.mark.parametrize(
    "content_type",
    [
        "text/csv",
        "text/plain",
        "application/jsonx",
        "json",
        "application/json, text/csv",
        "application/json; charset=latin-1",
        'application/json; charset="utf-16"',
        "application/json; profile=x; charset=latin-1",
    ],
)
def test_other_media_types_and_charsets_are_not_read(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        media_type(content_type, None)


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
def test_a_body_that_is_not_encoded_is_read(encoding: str | None) -> None:
    assert media_type("application/json", encoding) == JSON


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_an_encoded_body_is_not_read(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="Content-Encoding"):
        media_type("application/json", encoding)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/*", JSON),
        ("application/json; charset=utf-8", JSON),
        ("text/html, application/json;q=0.5", JSON),
        ("text/html;q=0, */*;q=0.1", JSON),
        (None, JSON_LINES),
        ("*/*", JSON_LINES),
        ("application/jsonlines", JSON_LINES),
        ("application/x-ndjson", JSON_LINES),
    ],
)
def test_an_answer_in_the_requests_media_type_is_acceptable(accept: str | None, media: str) -> None:
    check_accept(accept, media)
    with pytest.raises(NotAcceptable):
        check_accept("text/csv", media)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("text/csv", JSON),
        ("text/*, image/png", JSON),
        ("application/jsonlines", JSON),
        ("application/json", JSON_LINES),
        ("application/json;q=0", JSON),
        ("application/json; q=0.0", JSON),
        ("application/json;q=0.000", JSON),  # up to three digits: RFC 9110, 12.4.2
        ("application/json; Q=0", JSON),
        ("application/json; charset=utf-8; q=0", JSON),
        ("*/*;q=0", JSON),
        ("application/json;q=0, */*", JSON),  # the more specific range counts: RFC 9110, 12.5.1
    ],
)
def test_what_the_caller_does_not_admit_is_not_acceptable(accept: str, media: str) -> None:
    with pytest.raises(NotAcceptable, match=media):
        check_accept(accept, media)


def test_the_samples_form() -> None:
    request = parsed(**ITEM, version="fp32", parameters={"top_k": 2})
    assert (request.form, request.is_list) == ("sample", False)
    [item] = request.items
    assert (item.question, item.context, item.version, item.parameters) == (
        "Who?",
        "Zoë did.",
        "FP32",
        Parameters(top_k=2),
    )
    assert answered(request, FIRST, SECOND) == {
        "question": "Who?",
        "answer": "Zoë",
        "score": 0.75,
        "start": 0,
        "end": 3,
        "version": "FP32",
        "answers": [
            {"answer": "Zoë", "score": 0.75, "start": 0, "end": 3},
            {"answer": "did", "score": 0.125, "start": 4, "end": 7},
        ],
    }


def test_the_samples_form_has_no_list_where_one_answer_is_asked_for() -> None:
    assert answered(parsed(**ITEM), FIRST) == {
        "question": "Who?",
        "answer": "Zoë",
        "score": 0.75,
        "start": 0,
        "end": 3,
        "version": "INT8",
    }


def test_hugging_faces_form_with_one_item() -> None:
    request = parsed(inputs=ITEM)
    assert (request.form, request.is_list, len(request.items)) == ("huggingface", False, 1)
    assert answered(request, FIRST) == {"score": 0.75, "start": 0, "end": 3, "answer": "Zoë"}


def test_hugging_faces_form_answers_a_list_with_a_list() -> None:
    for inputs in ([ITEM], [ITEM, ITEM, ITEM]):
        request = parsed(inputs=inputs)
        assert (request.form, request.is_list, len(request.items)) == ("huggingface", True, len(inputs))
        assert answered(request, FIRST) == [{"score": 0.75, "start": 0, "end": 3, "answer": "Zoë"}] * len(inputs)


@pytest.mark.parametrize("answers", [(FIRST,), (FIRST, SECOND)])
def test_hugging_faces_form_gives_a_list_for_top_k_above_1_however_many_there_are(answers: tuple[Answer, ...]) -> None:
    one = answered(parsed(inputs=ITEM, parameters={"top_k": 2}), *answers)
    several = answered(parsed(inputs=[ITEM], parameters={"top_k": 2}), *answers)
    assert [each["answer"] for each in one] == [answer.answer for answer in answers]
    assert several == [one]


def test_the_instances_form() -> None:
    request = parsed(instances=[ITEM, {**ITEM, "question": "What?"}])
    assert (request.form, request.is_list) == ("instances", True)
    predictions = answered(request, FIRST)["predictions"]
    assert [each["question"] for each in predictions] == ["Who?", "What?"]
    assert predictions[0] == answered(parsed(**ITEM), FIRST)


def test_an_empty_list_has_an_empty_answer() -> None:
    assert answered(parsed(inputs=[])) == []
    assert answered(parsed(instances=[])) == {"predictions": []}


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_an_items_own_version_and_parameters_win_over_the_requests(key: str) -> None:
    items = [
        ITEM,
        {**ITEM, "version": "fp32"},
        {**ITEM, "parameters": {"max_answer_len": 5}},
        {**ITEM, "version": None, "parameters": None},
    ]
    request = parsed(**{key: items}, version="bf16", parameters={"top_k": 3})
    assert [item.version for item in request.items] == ["BF16", "FP32", "BF16", "BF16"]
    top, own = Parameters(top_k=3), Parameters(max_answer_len=5)
    assert [item.parameters for item in request.items] == [top, top, own, top]


def test_the_single_inputs_own_version_and_parameters_win_too() -> None:
    own = parsed(inputs={**ITEM, "version": "FP32", "parameters": {"top_k": 2}}, version="INT8", parameters={})
    assert (own.items[0].version, own.items[0].parameters) == ("FP32", Parameters(top_k=2))
    top = parsed(inputs=ITEM, version="INT8", parameters={"top_k": 7})
    assert (top.items[0].version, top.items[0].parameters) == ("INT8", Parameters(top_k=7))


@pytest.mark.parametrize("version", ["INT8", "int8", "Bf16", "fp32"])
def test_a_version_is_read_in_any_case(version: str) -> None:
    assert parsed(**ITEM, version=version).items[0].version == version.upper()


def test_fields_that_nobody_knows_are_ignored_outside_of_parameters() -> None:
    request = parsed(**ITEM, id="56be4db0", answers={"text": []})
    assert (request.items[0].question, request.items[0].parameters) == ("Who?", None)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({**ITEM, "parameters": {"topk": 1}}, "parameters.topk"),
        ({"inputs": ITEM, "parameters": {"topk": 1}}, "parameters.topk"),
        ({"inputs": {**ITEM, "parameters": {"topk": 1}}}, "inputs.parameters.topk"),
        ({"inputs": [ITEM, {**ITEM, "parameters": {"topk": 1}}]}, "inputs.1.parameters.topk"),
        ({"instances": [ITEM], "parameters": {"topk": 1}}, "parameters.topk"),
        ({"instances": [{**ITEM, "parameters": {"topk": 1}}]}, "instances.0.parameters.topk"),
    ],
)
def test_an_unknown_parameter_is_refused_with_its_path(body: dict[str, Any], path: str) -> None:
    assert refusal(**body).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_k", 0),
        ("top_k", 101),
        ("top_k", 1.0),
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
def test_a_parameter_of_another_type_or_size_is_refused(name: str, value: object) -> None:
    assert refusal(**ITEM, parameters={name: value}).startswith(f"parameters.{name}: ")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "question"),
        ({"question": "Who?"}, "context"),
        ({"context": "Zoë did."}, "question"),
        ({**ITEM, "question": None}, "question"),
        ({**ITEM, "question": 5}, "question"),
        ({**ITEM, "context": ["Zoë did."]}, "context"),
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
def test_a_field_that_is_missing_or_of_another_type_is_refused_with_its_path(body: dict[str, Any], path: str) -> None:
    assert refusal(**body).startswith(f"{path}: ")


@pytest.mark.parametrize("field", ["question", "context"])
@pytest.mark.parametrize("text", ["", " ", "\t\n\r ", "\u3000\u2028\xa0"])
def test_a_blank_text_is_refused_in_plain_words(field: str, text: str) -> None:
    assert refusal(**{**ITEM, field: text}) == f"{field}: must hold more than white space"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{'question': 1}",
        b'{"question": "a",}',
        b"NaN",
        b'{"question": "Who?", "context": "\xff"}',
        b'{"question": "Who?", "context": "\\ud800"}',
        b'{"question": "Who?", "context": "\xed\xa0\x80"}',
        b'{"question": "Who?", "context": "a"} x',
        b"[" * 100_000,
    ],
    ids=lambda data: repr(data[:45]),
)
def test_what_is_not_json_in_utf_8_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedBody, match="the body is not JSON"):
        parse(data)


@pytest.mark.parametrize("data", [b"[]", b'["a"]', b"null", b"5", b'"text"', b"true"])
def test_json_that_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        parse(data)


def test_no_text_of_the_request_comes_back_in_a_refusal() -> None:
    secret = "Xylophonist"
    for body in (
        {"question": secret},
        {"question": secret, "context": " "},
        {"question": [secret], "context": "a"},
        {**ITEM, "version": secret},
        {**ITEM, "parameters": {"top_k": secret}},
        {"inputs": secret},
    ):
        assert secret not in refusal(**body)
    with pytest.raises(MalformedBody) as caught:
        parse(f'{{"question": "{secret}'.encode())
    assert secret not in str(caught.value)
