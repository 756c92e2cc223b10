"""Each form of request gets its answer over HTTP, and the parameters of a request have their effect."""

import httpx
import pytest

from tests.server.questions import ANSWER, CONTEXT, LONG_TEXT, QUESTION, ask


@pytest.mark.parametrize("version", ["INT8", "FP32", "int8", "Fp32"])
def test_the_sample_form_gets_an_exact_span(client: httpx.Client, version: str) -> None:
    body = ask(client, question=QUESTION, context=CONTEXT, version=version)
    assert set(body) == {"question", "answer", "score", "start", "end", "precision", "version"}
    assert body["answer"] == ANSWER
    assert CONTEXT[body["start"] : body["end"]] == body["answer"]
    assert 0 < body["score"] <= 1
    assert (body["question"], body["version"]) == (QUESTION, version.upper())


def test_the_default_precision_is_int8(client: httpx.Client) -> None:
    assert ask(client, question=QUESTION, context=CONTEXT)["version"] == "INT8"


def test_the_sample_form_gets_as_many_answers_as_top_k(client: httpx.Client) -> None:
    body = ask(client, question=QUESTION, context=CONTEXT, parameters={"top_k": 5})
    assert len(body["answers"]) == 5
    assert body["answers"][0]["answer"] == body["answer"]
    scores = [answer["score"] for answer in body["answers"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) <= 1
    assert len({(answer["start"], answer["end"]) for answer in body["answers"]}) == 5
    assert all(CONTEXT[answer["start"] : answer["end"]] == answer["answer"] for answer in body["answers"])


def test_the_hugging_face_form_gets_what_the_pipeline_would_return(client: httpx.Client) -> None:
    item = {"question": QUESTION, "context": CONTEXT}
    one = ask(client, inputs=item)
    assert set(one) == {"score", "start", "end", "answer"}
    assert ask(client, inputs=[item, item]) == [one, one]
    assert ask(client, inputs=[]) == []
    several = ask(client, inputs=item, parameters={"top_k": 2})
    assert [answer["answer"] for answer in several][0] == one["answer"]
    assert len(several) == 2
    assert isinstance(ask(client, inputs={"question": "?!a", "context": "b"}, parameters={"top_k": 3}), list)


def test_instances_are_answered_in_order_and_each_in_its_own_version(client: httpx.Client) -> None:
    items = [
        {"question": QUESTION, "context": CONTEXT},
        {"question": "How tall is it?", "context": CONTEXT, "version": "INT8", "parameters": {"top_k": 2}},
    ]
    body = ask(client, instances=items, version="FP32")
    assert [prediction["version"] for prediction in body["predictions"]] == ["FP32", "INT8"]
    assert [prediction["question"] for prediction in body["predictions"]] == [item["question"] for item in items]
    assert body["predictions"][1]["answer"].startswith("42")
    assert len(body["predictions"][1]["answers"]) == 2


@pytest.mark.parametrize(
    "prefix",
    ["", "\n\t ", "🚢🚢 ", "e\u0301".join("naïve"), "\u202eabc\u202c ", "\x00\x1c", "日本語 ", "İstanbul ", "ﬁ ½ "],
)
def test_offsets_are_code_points_of_the_context_as_sent(client: httpx.Client, prefix: str) -> None:
    context = prefix + CONTEXT + " ✨"
    for version in ("INT8", "FP32"):
        for align in (True, False):
            body = ask(
                client, question=QUESTION, context=context, version=version, parameters={"align_to_words": align}
            )
            assert body["answer"] == ANSWER
            assert context[body["start"] : body["end"]] == body["answer"]


@pytest.mark.parametrize("position", [0.0, 0.3, 0.7, 1.0])
def test_an_answer_is_found_anywhere_in_a_long_document(client: httpx.Client, position: float) -> None:
    cut = LONG_TEXT.rfind(". ", 0, max(2, int(len(LONG_TEXT) * position))) + 2 if position else 0
    context = LONG_TEXT[:cut] + CONTEXT + " " + LONG_TEXT[cut:]
    body = ask(client, question=QUESTION, context=context, version="FP32")
    assert body["answer"] == ANSWER
    assert context[body["start"] : body["end"]] == body["answer"]
    assert body["score"] <= 1


def test_answers_are_exact_spans_whatever_the_windows_are(client: httpx.Client) -> None:
    context = LONG_TEXT[:3000] + CONTEXT
    for parameters in ({"max_seq_len": 64, "doc_stride": 16}, {"max_seq_len": 200}, {"doc_stride": 0}):
        body = ask(client, question=QUESTION, context=context, parameters=parameters)
        assert context[body["start"] : body["end"]] == body["answer"] != ""


def test_max_answer_len_limits_the_length_of_the_answer(client: httpx.Client) -> None:
    body = ask(client, question="How tall is it?", context=CONTEXT, parameters={"max_answer_len": 1})
    assert len(body["answer"].split()) == 1


def test_the_empty_answer_is_a_candidate_only_if_the_request_allows_it(client: httpx.Client) -> None:
    plain = ask(client, question=QUESTION, context=CONTEXT)
    body = ask(client, question=QUESTION, context=CONTEXT, parameters={"handle_impossible_answer": True, "top_k": 100})
    empty = [answer for answer in body["answers"] if answer["answer"] == ""]
    assert plain["answer"] != ""
    assert [(answer["start"], answer["end"]) for answer in empty] in ([], [(0, 0)])
    few = ask(
        client,
        question=QUESTION,
        context="Nothing.",
        parameters={"handle_impossible_answer": True, "top_k": 100},
    )
    assert "" in [answer["answer"] for answer in few["answers"]]
    assert abs(sum(answer["score"] for answer in few["answers"]) - 1) < 1e-3


def test_a_context_without_tokens_gets_an_empty_answer(client: httpx.Client) -> None:
    body = ask(client, question=QUESTION, context="\u200b\u200b")
    assert (body["answer"], body["score"], body["start"], body["end"]) == ("", 0, 0, 0)
