"""The bodies of requests and responses: the size limit, the forms, and the errors that name what is wrong."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from serve.api.request_body import ParsedRequest, parse, parse_as, read
from serve.api.schemas import LoadRequest
from serve.errors import InvalidRequest, MalformedBody, PayloadTooLarge
from serve.qa.types import Answer, AnsweredQuestion, Parameters, Question

ITEM = {"question": "Who?", "context": "Zoë did."}
FIRST, SECOND = Answer("Zoë", 0.75, 0, 3), Answer("did", 0.125, 4, 7)


def parsed(**body: Any) -> ParsedRequest:
    return parse(json.dumps(body).encode())


def refusal(**body: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**body)
    return str(caught.value)


def answered(request: ParsedRequest, *answers: Answer) -> Any:
    return request.response_body(
        [AnsweredQuestion(question, question.precision or "INT8", list(answers)) for question in request.questions]
    )


def body_of(pieces: list[bytes], limit_mb: int | None, content_length: str | None = None) -> bytes:
    """Read a body that arrives in pieces; after the last piece the client disconnects."""
    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": piece, "more_body": piece is not pieces[-1]} for piece in pieces]
    )

    async def receive() -> Message:
        return next(messages, {"type": "http.disconnect"})

    async def collect() -> bytes:
        headers = [(b"content-length", content_length.encode())] if content_length is not None else []
        request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
        return b"".join([piece async for piece in read(request, limit_mb)])

    return asyncio.run(collect())


@pytest.mark.parametrize("limit_mb", [1, 2, None])
@pytest.mark.parametrize("content_length", [None, str(2**20), "unknown"])
def test_a_body_of_exactly_the_limit_is_read(limit_mb: int | None, content_length: str | None) -> None:
    pieces = [b"a" * 2**19, b"", b"b" * 2**19]
    assert body_of(pieces, limit_mb, content_length) == b"".join(pieces)


def test_a_body_that_announces_more_than_the_limit_is_refused_before_it_arrives() -> None:
    with pytest.raises(PayloadTooLarge, match="larger than 1 MiB"):
        body_of([], 1, str(2**20 + 1))


@pytest.mark.parametrize("content_length", [None, "1"])
def test_a_body_that_becomes_larger_than_the_limit_is_refused(content_length: str | None) -> None:
    with pytest.raises(PayloadTooLarge, match="MAX_PAYLOAD_MB"):
        body_of([b"a" * 2**20, b"b"], 1, content_length)


def test_a_client_that_disconnects_within_its_body_is_noticed() -> None:
    with pytest.raises(ClientDisconnect):
        body_of([], 1)


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


def test_unknown_fields_are_ignored_outside_of_parameters() -> None:
    request = parsed(**ITEM, id="56be4db0", answers={"text": []})
    assert (request.questions[0].text, request.questions[0].parameters) == ("Who?", Parameters())


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
def test_a_parameter_of_the_wrong_type_or_size_is_refused(name: str, value: object) -> None:
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
def test_a_field_that_is_missing_or_of_the_wrong_type_is_refused_with_its_path(body: dict[str, Any], path: str) -> None:
    assert refusal(**body).startswith(f"{path}: ")


@pytest.mark.parametrize("field", ["question", "context"])
@pytest.mark.parametrize("text", ["", " ", "\t\n\r ", "\u3000\u2028\xa0"])
def test_a_blank_text_is_refused_with_a_plain_message(field: str, text: str) -> None:
    assert refusal(**{**ITEM, field: text}) == f"{field}: must contain more than white space"


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
def test_a_body_that_is_not_json_in_utf_8_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedBody, match="the body is not JSON"):
        parse(data)


@pytest.mark.parametrize("data", [b"[]", b'["a"]', b"null", b"5", b'"text"', b"true"])
def test_json_that_is_not_an_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        parse(data)
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        parse_as(LoadRequest, data)


def test_a_name_with_a_slash_is_refused_with_a_plain_message() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_as(LoadRequest, b'{"model_name": "a/b", "url": "/models"}')
    assert str(caught.value) == "model_name: must not contain a slash"


def test_a_refusal_contains_no_text_of_the_request() -> None:
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
