"""One question about many passages: one ranking, which is that of one request for each passage."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.questions import ANSWER, CONTEXT, LONG_TEXT, QUESTION, ask
from tests.server.server_process import metric_lines
from tools.local_server import LocalServer
from tools.squad.examples import read_examples

HELD_OUT = Path(__file__).parents[2] / "models" / "demo" / "held_out.json"
OTHERS = ["It rained all day in the harbour.", LONG_TEXT[:3000], "The fog signal was added in 1902 by an office."]
PASSAGES = [OTHERS[0], CONTEXT, *OTHERS[1:]]
LOGITS = {"return_logits": True, "top_k": 5}


def windows(server: LocalServer) -> float:
    """How many windows have run in INT8. The guard runs FP32 only."""
    return sum(float(line.split()[-1]) for line in metric_lines(server, "bertqa_windows_total") if '"INT8"' in line)


def test_100_passages_get_the_best_answer_of_100_requests_with_the_same_windows(
    client: httpx.Client, server: LocalServer
) -> None:
    examples = read_examples(str(HELD_OUT))
    passages = [example.context for example in examples[::2]] + [LONG_TEXT[:4000], "🚢 \u200b"]
    assert len(passages) == 100
    parameters = {"return_logits": True}
    question = examples[6].question
    before = windows(server)
    # The passages come first: their windows after the fourth run on background lanes, which give way to other requests.
    found = ask(client, question=question, contexts=passages, version="INT8", parameters=parameters)
    between = windows(server)
    alone = [
        ask(client, question=question, context=passage, version="INT8", parameters=parameters) for passage in passages
    ]
    assert windows(server) - between == between - before >= len(passages)
    best = max(range(len(alone)), key=lambda index: alone[index]["logit"] or float("-inf"))
    assert found["context_index"] == best
    for name in ("answer", "start", "end", "logit"):
        assert found[name] == alone[best][name]
    assert found["score"] < alone[best]["score"]


def test_each_form_ranks_over_all_passages(client: httpx.Client) -> None:
    item = {"question": QUESTION, "contexts": PASSAGES}
    one = ask(client, **item)
    assert (one["answer"], one["context_index"]) == (ANSWER, 1)
    answer = {name: one[name] for name in ("score", "start", "end", "answer", "context_index")}
    assert ask(client, inputs=item) == answer
    plain = {"question": QUESTION, "context": CONTEXT}
    mixed = ask(client, inputs=[item, plain])
    assert mixed[0] == answer
    assert "context_index" not in mixed[1]
    assert ask(client, instances=[item])["predictions"] == [one]
    lines = json.dumps(item) + "\n" + json.dumps({"inputs": item}) + "\n" + json.dumps(plain) + "\n"
    response = client.post("/invocations", content=lines, headers={"Content-Type": "application/jsonlines"})
    first, second, third = map(json.loads, response.text.splitlines())
    assert (first, second) == (one, answer)
    assert third["start"] == one["start"]
    large = ask(client, **item, padding="x" * 40_000)  # in a text process
    assert large == one


@pytest.mark.parametrize("padding", ["", "x" * 40_000], ids=["here", "in a text process"])
def test_answers_are_spans_of_their_passages_and_probabilities_over_all(client: httpx.Client, padding: str) -> None:
    parameters = {"handle_impossible_answer": True, "top_k": 100, "return_logits": True}
    passages = ["Zoë 🚢 built it.", "It was the old harbour office."]
    found = ask(client, question=QUESTION, contexts=passages, parameters=parameters, padding=padding)["answers"]
    for answer in found:
        assert passages[answer["context_index"]][answer["start"] : answer["end"]] == answer["answer"]
    assert {answer["context_index"] for answer in found} == {0, 1}
    assert [answer["answer"] for answer in found].count("") == 1
    assert len({(each["context_index"], each["start"], each["end"]) for each in found}) == len(found)
    assert 0.5 < sum(answer["score"] for answer in found) <= 1.000001


def test_equal_passages_rank_by_their_place(client: httpx.Client) -> None:
    found = ask(client, question=QUESTION, contexts=[CONTEXT] * 3, parameters=LOGITS)["answers"]
    assert [answer["context_index"] for answer in found[:3]] == [0, 1, 2]
    assert {(answer["answer"], answer["logit"]) for answer in found[:3]} == {(ANSWER, found[0]["logit"])}
    assert len({answer["score"] for answer in found[:3]}) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"question": QUESTION, "contexts": []}, "contexts: must not be empty"),
        ({"question": QUESTION, "contexts": ["a", " "]}, "contexts.1: must contain more than white space"),
        ({"question": QUESTION, "context": "a", "contexts": ["b"]}, "contexts: stands beside context"),
        ({"question": "\u200b", "contexts": ["b"]}, "question: has no words"),
        ({"inputs": [{"question": "why " * 65, "contexts": ["b"]}]}, "inputs.0.question: has 65 tokens"),
    ],
)
def test_a_bad_request_gets_a_message(client: httpx.Client, body: dict[str, Any], message: str) -> None:
    response = client.post("/invocations", json=body)
    assert response.status_code == 422
    assert response.json()["error"].startswith(message)


def test_passages_that_are_too_long_together_are_refused(client: httpx.Client) -> None:
    response = client.post("/invocations", json={"question": QUESTION, "contexts": ["word " * 60_000] * 50})
    assert (response.status_code, response.json()["error_type"]) == (422, "document_too_long")
    assert response.json()["error"].startswith("contexts: have more text than")
