"""Parse the body of a request into questions, and build the body of its response from their answers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from serve.api.body import field_names, json_text, json_values
from serve.api.body.answers import huggingface_body, sample_body
from serve.api.body.highlights import (
    CONNECTOR_UNIT,
    NO_HIGHLIGHTS,
    connector_body,
    is_from_connector,
    take_blank_texts,
)
from serve.api.body.items import (
    EMPTY,
    Limits,
    Model,
    Shared,
    check_items,
    expanded,
    has_passages,
    question_of,
    questions_of,
    validate,
)
from serve.api.schemas import (
    Form,
    HuggingFaceListRequest,
    HuggingFacePassagesRequest,
    HuggingFaceRequest,
    InstancesRequest,
    SamplePassagesRequest,
    SampleRequest,
)
from serve.errors import InvalidRequest, PayloadTooLarge
from serve.qa.types import ALONE, AnsweredQuestion, Place, Question

FORM_OF: dict[str, Form] = {
    "inputs": "huggingface",
    "instances": "instances",
    "question": "sample",
    "context": "sample",
    "contexts": "sample",
}


class ParsedRequest(NamedTuple):
    """One JSON object of a request: its questions, and the form that its response will have.

    is_list: the request held a list, so the response holds one too, whatever its length. blanks: the places of the
    connector's blank texts, which have no question.
    """

    form: Form
    questions: list[Question]
    is_list: bool
    blanks: frozenset[int] = frozenset()

    def response_body(self, answered: Sequence[AnsweredQuestion]) -> Any:
        """Return the response in the form of the request."""
        if self.form == "instances":
            return {"predictions": [sample_body(each) for each in answered]}
        if self.form == "sample":
            return sample_body(answered[0])
        rest = iter(answered)
        count = len(answered) + len(self.blanks)
        bodies = [NO_HIGHLIGHTS if index in self.blanks else self._body(next(rest)) for index in range(count)]
        return bodies if self.is_list else bodies[0]

    def _body(self, answered: AnsweredQuestion) -> Any:
        """Return the response to one item of a list, or to the only one. An item may ask for answers by itself."""
        if self.form == "opensearch" and answered.highlights is not None:
            return connector_body(answered.highlights, is_list=self.is_list)
        return huggingface_body(answered)


def parse(data: bytes | bytearray, limits: Limits, on_form: Callable[[Form], None] = lambda _: None) -> ParsedRequest:
    """Parse one JSON object in any of the forms. on_form: called with the form as soon as it is known.

    Raises: MalformedBody, InvalidRequest, PayloadTooLarge.
    """
    json_values.check(data, limits.max_items)
    value = json_text.read_object(data)
    form = _form(value)
    is_connector = is_from_connector(value, limits.defaults)
    on_form("opensearch" if is_connector else form)
    field_names.check(value, field_names.OF_A_REQUEST, limits.defaults.task)
    parsed = _parse_connector(value, form, limits) if is_connector else _parse(value, form, limits)
    check_items(len(parsed.questions), limits)
    # A character needs at least one byte, so a shorter body is within the limit, unless its questions share a context.
    if parsed.is_list or len(data) > limits.max_characters:
        characters = sum(len(question.text) + len(question.context) for question in parsed.questions)
        if characters > limits.max_characters:
            raise PayloadTooLarge(
                f"the request has {characters} characters of text, and {limits.max_characters} are allowed; split it "
                "into several requests, or raise MAX_CHARACTERS"
            )
    return parsed


def _parse_connector(value: dict[str, Any], form: Form, limits: Limits) -> ParsedRequest:
    unit = limits.defaults.offset_unit or CONNECTOR_UNIT
    blanks = take_blank_texts(value)
    parsed = _parse(value, form, limits._replace(defaults=replace(limits.defaults, offset_unit=unit)))
    questions = [question for index, question in enumerate(parsed.questions) if index not in blanks]
    return parsed._replace(form="opensearch", questions=questions, blanks=blanks)


def _parse(value: dict[str, Any], form: Form, limits: Limits) -> ParsedRequest:
    if form == "sample":
        shared = Shared.of(None, limits.defaults)
        if "contexts" in value and has_passages(value, ALONE, limits):
            passages = validate(SamplePassagesRequest, value)
            return ParsedRequest("sample", [question_of(passages, shared, ALONE)], is_list=False)
        if isinstance(value.get("question"), list) or isinstance(value.get("context"), list):
            return ParsedRequest("huggingface", expanded(value, "", shared, limits), is_list=True)
        one = validate(SampleRequest, value)
        return ParsedRequest("sample", [question_of(one, shared, ALONE)], is_list=False)
    if form == "instances":
        items = _taken(value, "instances")
        instances = validate(InstancesRequest, value)
        shared = Shared.of(instances, limits.defaults)
        return ParsedRequest("instances", questions_of("instances", items, shared, limits), is_list=True)
    if isinstance(value["inputs"], list):
        items = _taken(value, "inputs")
        several = validate(HuggingFaceListRequest, value)
        shared = Shared.of(several, limits.defaults)
        return ParsedRequest("huggingface", questions_of("inputs", items, shared, limits), is_list=True)
    return _parse_single_input(value, limits)


def _parse_single_input(value: dict[str, Any], limits: Limits) -> ParsedRequest:
    inputs = value["inputs"]
    if not isinstance(inputs, dict):
        raise InvalidRequest(
            'inputs: must be an object, such as {"question": "...", "context": "..."}, or a list of such objects'
        )
    field_names.check(inputs, field_names.OF_AN_ITEM, limits.defaults.task, "inputs")
    place = Place("inputs.")
    if "contexts" in inputs and has_passages(inputs, place, limits):
        passages = validate(HuggingFacePassagesRequest, value)
        shared = Shared.of(passages, limits.defaults)
        return ParsedRequest("huggingface", [question_of(passages.inputs, shared, place)], is_list=False)
    if isinstance(inputs.get("question"), list) or isinstance(inputs.get("context"), list):
        several = validate(HuggingFaceListRequest, {**value, "inputs": []})
        shared = Shared.of(several, limits.defaults)
        return ParsedRequest("huggingface", expanded(inputs, "inputs.", shared, limits), is_list=True)
    one = validate(HuggingFaceRequest, value)
    shared = Shared.of(one, limits.defaults)
    return ParsedRequest("huggingface", [question_of(one.inputs, shared, place)], is_list=False)


def _form(value: dict[str, Any]) -> Form:
    """Return the form of a request. Some clients send the fields of several forms, and leave all but one empty."""
    sent = [name for name in FORM_OF if name in value]
    filled = [name for name in sent if value[name] not in EMPTY]
    if not sent:
        raise field_names.none_of_a_form(value)
    forms = list(dict.fromkeys(FORM_OF[name] for name in filled))
    if len(forms) > 1:
        raise InvalidRequest(
            f"the request has {' and '.join(filled)}, which belong to different forms; send question and context, "
            "inputs alone, or instances alone"
        )
    if forms:
        return forms[0]
    # An empty list is answered by an empty list, and an empty item is an error.
    return FORM_OF[next((name for name in sent if isinstance(value[name], list)), sent[0])]


def _taken(value: dict[str, Any], name: str) -> list[Any]:
    """Take a list of items out of a request, so that they can be validated one by one. Anything else stays."""
    if not isinstance(value[name], list):
        return []
    items: list[Any] = value[name]
    value[name] = []
    return items


def parse_as(model: type[Model], data: bytes, example: str) -> Model:
    """Parse one JSON object of a given schema.

    example: what is right, for the message about JSON that is no object.

    Raises: MalformedBody, InvalidRequest.
    """
    value = json_text.read_object(data, example)
    field_names.check_meant(value, tuple(model.model_fields))
    return validate(model, value)
