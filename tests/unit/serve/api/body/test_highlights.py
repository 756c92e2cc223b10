"""Requests for highlights: which of them are, by whose defaults, and how they are answered."""

import json
from dataclasses import replace
from typing import Any

import pytest

from container.tasks.settings import TaskSettings
from serve.api.body.parse import ParsedRequest, parse
from serve.errors import InvalidRequest
from serve.qa.highlight.task import TaskDefaults
from serve.qa.types import Answer, AnsweredQuestion, Highlight, Highlighting, Parameters
from tests.unit.serve.api.body.requests import ITEM, LIMITS

HIGHLIGHTER = TaskDefaults("highlight", 0.25, None)
MARKER = TaskDefaults("highlight", 0.5, None, "token-relevance")
TASK = {"parameters": {"task": "highlight"}}
ANSWERS = {"parameters": {"task": "question-answering"}}
FOUND = [Highlight(0, 8, "Zoë did.", 0.75, 0, 0)]


def parsed(defaults: TaskDefaults = HIGHLIGHTER, **body: Any) -> ParsedRequest:
    return parse(json.dumps(body).encode(), LIMITS._replace(defaults=defaults))


def highlighting(request: ParsedRequest) -> Highlighting:
    (question,) = request.questions
    assert question.parameters.highlight is not None
    return question.parameters.highlight


def response(request: ParsedRequest) -> Any:
    answers = [Answer("Zoë", 0.5, 0, 3)]
    return request.response_body(
        [
            AnsweredQuestion(each, "INT8", answers, FOUND if each.parameters.highlight else None)
            for each in request.questions
        ]
    )


@pytest.mark.parametrize("form", ["sample", "inputs", "list", "instances", "pairs", "passages"])
def test_every_form_has_the_default_task_and_can_name_another(form: str) -> None:
    body: dict[str, Any] = {
        "sample": ITEM,
        "inputs": {"inputs": ITEM},
        "list": {"inputs": [ITEM]},
        "instances": {"instances": [ITEM]},
        "pairs": {"question": ["Who?"], "context": ["Zoë did."]},
        "passages": {"question": "Who?", "contexts": ["Zoë did."]},
    }[form]
    plain = TaskDefaults()
    assert highlighting(parsed(**body)) == Highlighting(0.25, 5, "code_points")
    assert highlighting(parsed(plain, **body, **TASK)) == Highlighting(0.1, 5, "code_points")
    assert parsed(**body, **ANSWERS).questions == parsed(plain, **body).questions
    assert parsed(plain, **body).questions[0].parameters == Parameters()


def test_a_token_relevance_model_highlights_by_default_and_by_its_own_threshold() -> None:
    assert TaskDefaults.of(TaskSettings(), "token-relevance") == MARKER
    assert TaskDefaults.of(TaskSettings(), "question-answering") == TaskDefaults()
    assert TaskDefaults.of(TaskSettings(HIGHLIGHT_THRESHOLD=0.0), "token-relevance").threshold == 0
    assert highlighting(parsed(MARKER, **ITEM)) == Highlighting(0.5, 5, "code_points")
    assert highlighting(parsed(MARKER, **ITEM, parameters={"highlight_threshold": 0.2})).threshold == 0.2
    request = parsed(MARKER, **ITEM, inputs=[])
    assert (request.form, highlighting(request).unit) == ("opensearch", "utf16")
    answered = AnsweredQuestion(parsed(MARKER, **ITEM).questions[0], "INT8", [], FOUND)
    assert parsed(MARKER, **ITEM).response_body([answered])["highlights"][0]["text"] == "Zoë did."


def test_an_item_can_have_a_task_of_its_own() -> None:
    request = parsed(inputs=[ITEM, {**ITEM, **ANSWERS}], parameters={"highlight_threshold": 0.5, "top_k": 7})
    first, second = (question.parameters for question in request.questions)
    assert first == Parameters(handle_impossible_answer=True, highlight=Highlighting(0.5, 7, "code_points"))
    assert second == Parameters()
    assert [set(each) for each in response(request)] == [{"highlights"}, {"score", "start", "end", "answer"}]


def test_the_connector_gets_its_own_format_with_utf16_units() -> None:
    one = parsed(**ITEM, inputs=[])
    assert (one.form, one.is_list, highlighting(one).unit) == ("opensearch", False, "utf16")
    assert response(one) == {"highlights": [{"start": 0, "end": 8, "text": "Zoë did.", "position": 0}]}
    several = parsed(question="", context="", inputs=[ITEM, ITEM])
    assert (several.form, several.is_list) == ("opensearch", True)
    assert response(several) == [{"highlights": [{"start": 0, "end": 8}]}] * 2
    assert response(parsed(question="", context="", inputs=[])) == []
    mixed = parsed(question="", context="", inputs=[ITEM, {**ITEM, **ANSWERS}])
    assert [set(each) for each in response(mixed)] == [{"highlights"}, {"score", "start", "end", "answer"}]


def test_the_setting_and_the_parameter_go_before_the_connectors_units() -> None:
    bytes_by_setting = replace(HIGHLIGHTER, offset_unit="bytes")
    assert highlighting(parsed(bytes_by_setting, **ITEM, inputs=[])).unit == "bytes"
    named = {"parameters": {"offset_unit": "code_points"}}
    assert highlighting(parsed(bytes_by_setting, **ITEM, inputs=[], **named)).unit == "code_points"


@pytest.mark.parametrize(
    ("defaults", "body"),
    [
        (TaskDefaults(), {**ITEM, "inputs": []}),
        (HIGHLIGHTER, {**ITEM, "inputs": [], **ANSWERS}),
        (HIGHLIGHTER, {**ITEM, "inputs": {}}),
        (HIGHLIGHTER, {**ITEM, "inputs": [], "instances": []}),
        (HIGHLIGHTER, ITEM),
    ],
)
def test_other_requests_are_not_the_connectors(defaults: TaskDefaults, body: dict[str, Any]) -> None:
    assert parsed(defaults, **body).form != "opensearch"


def test_a_blank_text_of_the_connector_has_no_highlights_and_is_not_asked_about() -> None:
    blank = {"question": "Who?", "context": " \n"}
    several = parsed(question="", context="", inputs=[{**blank, "context": ""}, ITEM, blank, ITEM])
    assert [each.context for each in several.questions] == [ITEM["context"]] * 2
    nothing, found = {"highlights": []}, {"highlights": [{"start": 0, "end": 8}]}
    assert response(several) == [nothing, found, nothing, found]
    assert response(parsed(question="", context="", inputs=[blank])) == [nothing]
    for context in ("", "\t"):
        one = parsed(question="Who?", context=context, inputs=[])
        assert (one.questions, response(one)) == ([], nothing)


@pytest.mark.parametrize(
    ("defaults", "body", "path"),
    [
        (HIGHLIGHTER, {"question": "Who?", "context": " "}, "context"),
        (HIGHLIGHTER, {"inputs": [{"question": "Who?", "context": " "}]}, "inputs.0.context"),
        (TaskDefaults(), {"question": "Who?", "context": " ", "inputs": []}, "context"),
        (HIGHLIGHTER, {"question": " ", "context": " ", "inputs": []}, "question"),
        (
            HIGHLIGHTER,
            {"question": "", "context": "", "inputs": [{"question": "", "context": ""}]},
            "inputs.0.question",
        ),
        (
            HIGHLIGHTER,
            {"question": "", "context": "", "inputs": [{"question": "Who?", "context": "", **ANSWERS}]},
            "inputs.0.context",
        ),
    ],
)
def test_other_blank_texts_are_errors(defaults: TaskDefaults, body: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{path}: must contain more than white space"):
        parsed(defaults, **body)


@pytest.mark.parametrize(
    ("defaults", "parameters", "message"),
    [
        (TaskDefaults(), {"highlight_threshold": 0.5}, "highlight_threshold: acts only on highlights"),
        (TaskDefaults(), {"offset_unit": "utf16"}, "offset_unit: acts only on highlights"),
        (HIGHLIGHTER, {"task": "question-answering", "offset_unit": "utf16"}, "offset_unit: acts only on highlights"),
        (HIGHLIGHTER, {"return_logits": True}, "return_logits: highlights have no logits"),
        (MARKER, {"return_logits": True}, "return_logits: highlights have no logits"),
        (MARKER, {"task": "question-answering"}, 'task: must be "highlight", because this model marks'),
        (MARKER, {"max_answer_len": 9}, "max_answer_len: acts only on a question-answering model"),
        (MARKER, {"handle_impossible_answer": True}, "handle_impossible_answer: acts only on a question-answering"),
        (MARKER, {"no_answer_threshold": 1.0}, "no_answer_threshold: acts only on a question-answering model"),
    ],
)
def test_a_parameter_that_the_task_does_not_have_is_refused(
    defaults: TaskDefaults, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^parameters.{message}"):
        parsed(defaults, **ITEM, parameters=parameters)
    with pytest.raises(InvalidRequest, match=f"^parameters.{message}"):
        parsed(defaults, inputs=[ITEM], parameters=parameters)
    with pytest.raises(InvalidRequest, match=f"^instances.1.parameters.{message}"):
        parsed(defaults, instances=[ITEM, {**ITEM, "parameters": parameters}])


def test_a_field_task_is_refused_only_if_it_would_change_the_answer() -> None:
    assert parsed(TaskDefaults(), **ITEM, task="question-answering").questions[0].parameters == Parameters()
    assert parsed(inputs=[{**ITEM, "task": "highlight"}]).questions[0].parameters.highlight is not None
    for defaults, task in ((TaskDefaults(), "highlight"), (HIGHLIGHTER, "question-answering")):
        with pytest.raises(InvalidRequest, match="^task: belongs into parameters"):
            parsed(defaults, **ITEM, task=task)
