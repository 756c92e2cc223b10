"""A token-relevance model, from a checkpoint to highlights: its scores are those of transformers' own model."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from model_loader import manifest
from serve.qa.highlight.highlights import ends_of
from tests.page.browser import CHROMIUM, opened, running_browser
from tests.server.connector import marked, request_body
from tests.server.questions import CONTEXT, QUESTION, ask
from tests.server.server_process import metric_lines
from tests.tools.demo_files import HELD_OUT
from tests.waiting import wait_until
from tools.local_server import LocalServer

EVERYTHING = {"highlight_threshold": 0.0, "top_k": 100}
SENTENCE = CONTEXT[:74]
EMOJI = f"🚢 It rained 3/4 of the day. \n{CONTEXT}"
OTHER = "It rained all day in the harbour. The fog came."


@pytest.fixture(scope="module")
def marker(relevance_dir: Path) -> Iterator[LocalServer]:
    """A server with the token-relevance model, whose guard compares every answer for which it finds time."""
    with LocalServer(relevance_dir, {"GUARD_SHARE": "1", "RUNG_STEP": "32"}) as server:
        yield server


@pytest.fixture(scope="module")
def client(marker: LocalServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=marker.url, timeout=60) as connected:
        yield connected


def held_out(count: int) -> list[tuple[str, str]]:
    """Return some held-out questions of the demo model, each with its context."""
    articles = json.loads(HELD_OUT.read_text())["data"]
    pairs = [
        (qa["question"], paragraph["context"])
        for article in articles
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]
    return pairs[:: len(pairs) // count][:count]


def scores_of(client: httpx.Client, question: str, context: str, precision: str) -> dict[int, float]:
    """Return the score of each sentence of a context."""
    body = {"question": question, "context": context, "precision": precision, "parameters": EVERYTHING}
    return {each["position"]: each["score"] for each in ask(client, **body)["highlights"]}


def reference_scores(checkpoint: Path, pairs: list[tuple[str, str]]) -> Iterator[dict[int, float]]:
    """The scores by transformers' tokenizer and model, and by a loop over windows and tokens."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForTokenClassification.from_pretrained(checkpoint).eval()
    for question, context in pairs:
        encoded = tokenizer(
            question, context, truncation="only_second", max_length=96, stride=24, padding=True,
            return_overflowing_tokens=True, return_offsets_mapping=True, return_tensors="pt",
        )  # fmt: skip
        offsets = encoded.pop("offset_mapping").tolist()
        encoded.pop("overflow_to_sample_mapping")
        with torch.no_grad():
            relevant = model(**encoded).logits.softmax(-1)[..., 1].tolist()
        best: dict[tuple[int, int], tuple[float, float]] = {}  # of a token's place: its context, and its probability
        for window, found in enumerate(relevant):
            places = [at for at, part in enumerate(encoded.sequence_ids(window)) if part == 1]
            for at in places:
                around = min(at - places[0], places[-1] - at) + 0.01 * len(places)
                place = tuple(offsets[window][at])
                if place not in best or around > best[place][0]:
                    best[place] = around, found[at]
        ends = ends_of(context)
        sentences: dict[int, list[float]] = {}
        for (start, _), (_, probability) in best.items():
            sentences.setdefault(int(np.searchsorted(ends, start, side="right")), []).append(probability)
        yield {sentence: float(np.mean(each)) for sentence, each in sentences.items()}


def test_fp32_has_transformers_scores_and_int8_chooses_the_same_sentences(
    client: httpx.Client, relevance_checkpoint: Path
) -> None:
    pairs = held_out(20)
    pairs[0] = (pairs[0][0], " ".join(context for _, context in pairs[:6]))  # many windows
    same = right = 0
    for pair, expected in zip(pairs, reference_scores(relevance_checkpoint, pairs), strict=True):
        fp32, int8 = (scores_of(client, *pair, precision) for precision in ("FP32", "INT8"))
        assert fp32 == pytest.approx(expected, abs=1e-4)
        assert int8.keys() == fp32.keys()
        same += max(int8, key=int8.__getitem__) == max(fp32, key=fp32.__getitem__)
        right += max(fp32.values()) > 0.5
    assert same >= 18
    assert right >= 10  # the model is no random one


def test_each_form_has_highlights_without_naming_the_task(client: httpx.Client) -> None:
    item = {"question": QUESTION, "context": CONTEXT}
    sample = ask(client, **item)
    best = max(sample["highlights"], key=lambda each: each["score"])
    assert (best["text"], best["start"], best["end"], best["position"]) == (SENTENCE, 0, 74, 0)
    assert all(0.5 <= each["score"] <= 1 for each in sample["highlights"])
    only = {"highlights": sample["highlights"]}
    assert ask(client, inputs=item) == only
    assert ask(client, **item, parameters={"task": "highlight"}) == sample
    assert ask(client, question=[QUESTION], context=[CONTEXT]) == [only]
    kserve = client.post("/v1/models/bert-qa:predict", json={"instances": [item]})
    assert kserve.json() == {"predictions": [sample]}
    assert ask(client, **item, padding="x" * 40_000) == sample  # in a text process
    (limited,) = ask(client, inputs=item, parameters={**EVERYTHING, "top_k": 1})["highlights"]
    assert limited["text"] == SENTENCE
    assert ask(client, inputs=item, parameters={"highlight_threshold": 1.0}) == {"highlights": []}


def test_passages_are_scored_one_by_one(client: httpx.Client) -> None:
    passages = [OTHER, CONTEXT, EMOJI]
    found = ask(client, question=QUESTION, contexts=passages, parameters=EVERYTHING)["highlights"]
    assert all(passages[each["context_index"]][each["start"] : each["end"]] == each["text"] for each in found)
    for index, passage in enumerate(passages):
        alone = ask(client, question=QUESTION, context=passage, parameters=EVERYTHING)["highlights"]
        of_passage = [each for each in found if each["context_index"] == index]
        assert [each["position"] for each in of_passage] == [each["position"] for each in alone]
        scores = [each["score"] for each in alone]
        assert [each["score"] for each in of_passage] == pytest.approx(scores, abs=1e-6)


def test_opensearchs_connector_needs_no_setting(client: httpx.Client) -> None:
    inputs = json.dumps([{"question": QUESTION, "context": EMOJI}, {"question": QUESTION, "context": " "}])
    first, blank = client.post("/invocations", content=request_body(inputs=inputs)).json()
    assert all(set(each) == {"start", "end"} for each in first["highlights"])
    assert f"<em>{SENTENCE}</em>" in marked(EMOJI, first["highlights"])
    assert blank == {"highlights": []}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"task": "question-answering"}, 'parameters.task: must be "highlight", because this model marks'),
        ({"max_answer_len": 5}, "parameters.max_answer_len: acts only on a question-answering model"),
    ],
)
def test_what_only_a_question_answering_model_can_do_is_refused(
    client: httpx.Client, parameters: dict[str, Any], message: str
) -> None:
    for padding in ("", "x" * 40_000):
        body = {"question": QUESTION, "context": CONTEXT, "parameters": parameters, "padding": padding}
        response = client.post("/invocations", json=body)
        assert response.status_code == 422
        assert response.json()["error"].startswith(message)


def test_the_server_and_the_manifest_say_what_the_model_is(client: httpx.Client, relevance_dir: Path) -> None:
    assert client.get("/info").json()["model"]["task"] == "token-relevance"
    made = manifest.read(relevance_dir)
    assert made.task == "token-relevance"
    assert made.precisions["INT8"].fused_groups == 7 * made.layers + 2
    for example in made.golden_examples:
        assert all(result.answer in example.context for result in example.results.values())
        assert all(result.answer.strip() for result in example.results.values())


def test_the_guard_compares_the_sentences(marker: LocalServer, client: httpx.Client) -> None:
    def compared() -> float:
        lines = metric_lines(marker, "bertqa_guard_answers_total")
        found = [re.fullmatch(r'.*\{result="(agree|differ)"\} (.+)', line) for line in lines]
        return sum(float(each[2]) for each in found if each)

    before = compared()
    ask(client, question=QUESTION, context=CONTEXT)
    wait_until("the guard has run", lambda: compared() > before, 60)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing; `apt-get install chromium` installs it")
def test_the_page_shows_highlights_only(marker: LocalServer) -> None:
    pytest.importorskip("playwright", reason="playwright is missing; `make setup` installs it")
    from tests.page.actions import ask as ask_on_page
    from tests.page.actions import write

    problems: list[str] = []
    with running_browser() as browser, opened(browser, marker.url, problems) as page:
        write(page, CONTEXT)
        card = ask_on_page(page, QUESTION)
        assert SENTENCE in card.locator(".sentences .answer").all_text_contents()
        assert card.locator(".tiles li").count() == 0
        assert page.locator("mark.is-sentence").first.is_visible()
        assert SENTENCE in (page.get_by_role("status").first.text_content() or "")
        command = card.locator("pre").text_content() or ""
        assert '"task":"highlight"' in command
    assert problems == []
