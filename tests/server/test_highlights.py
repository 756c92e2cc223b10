"""Highlighted sentences in every form, and in that of OpenSearch's connector, against real servers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests.server.connector import marked, request_body
from tests.server.questions import ANSWER, CONTEXT, QUESTION, ask
from tools.local_server import LocalServer
from tools.remote.local_endpoint import running

SENTENCE = CONTEXT[:74]
HIGHLIGHT = {"task": "highlight"}
OTHER = "It rained all day in the harbour. The fog came."
EMOJI = f"🚢 It rained 3/4 of the day. \n{CONTEXT}"


@pytest.fixture(scope="module")
def highlighter(demo_dir: Path) -> Iterator[httpx.Client]:
    """A server that highlights if a request does not say what it wants."""
    settings = {"DEFAULT_TASK": "highlight", "HIGHLIGHT_THRESHOLD": "0.2", "MAX_BATCH_WINDOWS": "1"}
    with LocalServer(demo_dir, settings) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def bounds(highlights: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(each["start"], each["end"]) for each in highlights]


def test_each_form_has_highlights_in_the_place_of_answers(client: httpx.Client) -> None:
    item = {"question": QUESTION, "context": CONTEXT}
    sample = ask(client, **item, parameters=HIGHLIGHT)
    (highlight,) = sample["highlights"]
    assert (highlight["text"], highlight["start"], highlight["end"], highlight["position"]) == (SENTENCE, 0, 74, 0)
    assert 0.9 < highlight["score"] <= 1
    assert sample == {"question": QUESTION, "highlights": [highlight], "precision": "INT8", "version": "INT8"}
    only = {"highlights": [highlight]}
    assert ask(client, inputs=item, parameters=HIGHLIGHT) == only
    assert ask(client, instances=[item], parameters=HIGHLIGHT) == {"predictions": [sample]}
    mixed = ask(client, inputs=[{**item, "parameters": HIGHLIGHT}, item])
    assert (mixed[0], mixed[1]["answer"]) == (only, ANSWER)
    pairs = ask(client, question=[QUESTION, QUESTION], context=CONTEXT, parameters=HIGHLIGHT)
    assert pairs == [only, only]
    lines = "".join(json.dumps(each) + "\n" for each in ({**item, "parameters": HIGHLIGHT}, item))
    response = client.post("/invocations", content=lines, headers={"Content-Type": "application/jsonlines"})
    first, second = map(json.loads, response.text.splitlines())
    assert (first, second["answer"]) == (sample, ANSWER)
    kserve = client.post("/v1/models/bert-qa:predict", json={"instances": [item], "parameters": HIGHLIGHT})
    assert kserve.json() == {"predictions": [sample]}
    assert ask(client, **item, parameters=HIGHLIGHT, padding="x" * 40_000) == sample  # in a text process


def test_passages_have_one_ranking_and_highlights_in_their_order(client: httpx.Client) -> None:
    passages = [OTHER, CONTEXT, EMOJI, CONTEXT]
    parameters = {**HIGHLIGHT, "top_k": 2}
    found = ask(client, question=QUESTION, contexts=passages, parameters=parameters)["highlights"]
    assert len(found) == 2
    assert [each["context_index"] for each in found] == sorted(each["context_index"] for each in found)
    assert all(passages[each["context_index"]][each["start"] : each["end"]] == each["text"] for each in found)
    assert sum(each["score"] for each in found) <= 1.000001
    everything = {**HIGHLIGHT, "top_k": 100, "highlight_threshold": 0.0}
    found = ask(client, question=QUESTION, contexts=passages, parameters=everything)["highlights"]
    assert [(each["context_index"], each["position"]) for each in found] == sorted(
        (each["context_index"], each["position"]) for each in found
    )
    assert {each["text"] for each in found} >= {SENTENCE, "It rained all day in the harbour.", "The fog came."}


def test_a_sentence_that_stands_five_times_has_five_right_places(client: httpx.Client) -> None:
    text = f"{SENTENCE} It rained all day. " * 5
    parameters = {**HIGHLIGHT, "highlight_threshold": 0.0, "top_k": 5}
    found = ask(client, question=QUESTION, context=text, parameters=parameters)["highlights"]
    step = len(text) // 5
    assert bounds(found) == [(step * index, step * index + 74) for index in range(5)]
    assert [each["position"] for each in found] == [0, 2, 4, 6, 8]


def test_no_answer_gives_an_empty_list(client: httpx.Client) -> None:
    body = {"question": QUESTION, "context": OTHER}
    assert ask(client, inputs=body, parameters=HIGHLIGHT) == {"highlights": []}
    assert ask(client, inputs=body, parameters={**HIGHLIGHT, "no_answer_threshold": -1000.0}) == {"highlights": []}
    assert ask(client, inputs={**body, "context": "\u200b"}, parameters=HIGHLIGHT) == {"highlights": []}
    without = {**HIGHLIGHT, "handle_impossible_answer": False}
    assert len(ask(client, inputs=body, parameters=without)["highlights"]) >= 1


@pytest.mark.parametrize(("unit", "encoding", "width"), [("utf16", "utf-16-le", 2), ("bytes", "utf-8", 1)])
def test_offsets_count_the_units_that_the_request_names(
    client: httpx.Client, unit: str, encoding: str, width: int
) -> None:
    parameters = {**HIGHLIGHT, "offset_unit": unit}
    (found,) = ask(client, inputs={"question": QUESTION, "context": EMOJI}, parameters=parameters)["highlights"]
    coded = EMOJI.encode(encoding)
    assert coded[found["start"] * width : found["end"] * width].decode(encoding) == found["text"] == SENTENCE


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"parameters": {"task": "ner"}}, "parameters.task: must be question-answering or highlight"),
        ({"parameters": {**HIGHLIGHT, "highlight_threshold": 2}}, "parameters.highlight_threshold: must be at most 1"),
        ({"parameters": {**HIGHLIGHT, "offset_unit": "words"}}, "parameters.offset_unit: must be code_points"),
        ({"task": "highlight"}, "task: belongs into parameters"),
        ({"highlight_threshold": 0.5}, "highlight_threshold: belongs into parameters"),
    ],
)
def test_a_bad_request_gets_a_message(client: httpx.Client, body: dict[str, Any], message: str) -> None:
    response = client.post("/invocations", json={"question": QUESTION, "context": CONTEXT, **body})
    assert response.status_code == 422
    assert response.json()["error"].startswith(message)


def test_a_column_with_the_name_task_is_ignored_like_others(client: httpx.Client) -> None:
    assert ask(client, question=QUESTION, context=CONTEXT, task="squad")["answer"] == ANSWER


def test_opensearchs_connector_gets_the_highlights_of_one_text(highlighter: httpx.Client) -> None:
    for context in (CONTEXT, EMOJI, f'He said "no"\tand\\or left.\n{CONTEXT}'):
        response = highlighter.post("/invocations", content=request_body(question=QUESTION, context=context))
        (highlight,) = response.json()["highlights"]
        assert set(highlight) == {"start", "end", "text", "position"}
        assert highlight["text"] == SENTENCE
        assert marked(context, [highlight]) == context.replace(SENTENCE, f"<em>{SENTENCE}</em>")
    nothing = highlighter.post("/invocations", content=request_body(question=QUESTION, context=OTHER))
    assert nothing.json() == {"highlights": []}
    blank = highlighter.post("/invocations", content=request_body(question=QUESTION, context=" "))
    assert blank.json() == {"highlights": []}


def test_opensearchs_connector_gets_the_highlights_of_several_texts(highlighter: httpx.Client) -> None:
    tall = "How tall is the lighthouse?"
    inputs = [
        {"question": QUESTION, "context": EMOJI},
        {"question": QUESTION, "context": OTHER},
        {"question": tall, "context": CONTEXT},
        {"question": tall, "context": " \n"},
    ]
    # Escaped and unescaped characters stand for the same text.
    for text in (json.dumps(inputs), json.dumps(inputs, ensure_ascii=False)):
        results = highlighter.post("/invocations", content=request_body(inputs=text)).json()
        assert [set(result) for result in results] == [{"highlights"}] * 4
        assert all(set(each) == {"start", "end"} for result in results for each in result["highlights"])
        texts = [marked(item["context"], found["highlights"]) for item, found in zip(inputs, results, strict=True)]
        assert texts == [
            EMOJI.replace(SENTENCE, f"<em>{SENTENCE}</em>"),
            OTHER,
            CONTEXT.replace(CONTEXT[75:129], f"<em>{CONTEXT[75:129]}</em>"),
            " \n",
        ]
    assert highlighter.post("/invocations", content=request_body()).json() == []


def test_the_connector_works_with_a_parameter_in_the_place_of_the_setting(client: httpx.Client) -> None:
    body = {"question": QUESTION, "context": EMOJI, "inputs": [], "parameters": HIGHLIGHT}
    (highlight,) = ask(client, **body)["highlights"]
    assert marked(EMOJI, [highlight]) == EMOJI.replace(SENTENCE, f"<em>{SENTENCE}</em>")
    assert ask(client, question=QUESTION, context=CONTEXT, inputs=[])["answer"] == ANSWER  # the task is not highlight


def test_every_form_has_the_default_task(highlighter: httpx.Client) -> None:
    item = {"question": QUESTION, "context": CONTEXT}
    assert ask(highlighter, **item)["highlights"][0]["text"] == SENTENCE
    assert ask(highlighter, inputs=item)["highlights"][0]["start"] == 0
    assert ask(highlighter, **item, padding="x" * 40_000) == ask(highlighter, **item)  # in a text process
    assert ask(highlighter, **item, parameters={"task": "question-answering"})["answer"] == ANSWER
    assert ask(highlighter, **item, parameters={"highlight_threshold": 1.0})["highlights"] == []
    (found,) = ask(highlighter, inputs={**item, "context": EMOJI})["highlights"]
    assert EMOJI[found["start"] : found["end"]] == SENTENCE  # code points, except in the connector's form


def test_boto3_gets_highlights_through_the_local_endpoint(
    highlighter: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with running(str(highlighter.base_url).rstrip("/")) as url:
        client = boto3.client("sagemaker-runtime", endpoint_url=url, region_name="us-east-1")
        body = request_body(inputs=json.dumps([{"question": QUESTION, "context": EMOJI}]))
        response = client.invoke_endpoint(EndpointName="highlights", ContentType="application/json", Body=body)
        (result,) = json.loads(response["Body"].read())
        assert marked(EMOJI, result["highlights"]) == EMOJI.replace(SENTENCE, f"<em>{SENTENCE}</em>")
        client.close()
