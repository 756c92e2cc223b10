"""The requests of Hugging Face's image for SageMaker with HF_TASK=question-answering, exactly as its clients send them.

The bodies are those of the toolkit in that image (aws/sagemaker-huggingface-inference-toolkit: tests/integ/config.py,
tests/unit/test_decoder_encoder.py and handler_service.py, whose predict() also accepts a body without `inputs`), and
the headers those of HuggingFacePredictor in the SageMaker SDK.
"""

import json
from typing import Any

import httpx
import pytest

from tests.docs import pages

PAGE = pages.DOCS / "moving-from-hugging-face.md"
HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
QUESTION = "What is used for inference?"
CONTEXT = "My Name is Philipp and I live in Nuremberg. This model is used with sagemaker for inference."
ITEM = {"question": QUESTION, "context": CONTEXT}
FIELDS = {"score", "start", "end", "answer"}


def send(client: httpx.Client, body: Any) -> httpx.Response:
    """Send a body as json.dumps writes it in the SDK's JSONSerializer."""
    return client.post("/invocations", content=json.dumps(body), headers=HEADERS)


def is_answer(one: Any) -> bool:
    return set(one) == FIELDS and CONTEXT[one["start"] : one["end"]] == one["answer"] != "" and 0 < one["score"] <= 1


@pytest.mark.parametrize("parameters", [{}, {"parameters": None}, {"parameters": {}}, {"parameters": {"top_k": 1}}])
def test_one_item_gets_the_four_fields_of_the_pipeline(client: httpx.Client, parameters: dict[str, Any]) -> None:
    response = send(client, {"inputs": ITEM, **parameters})
    assert response.headers["content-type"] == "application/json"
    assert is_answer(response.json())


def test_every_parameter_of_the_pipeline_is_accepted(client: httpx.Client) -> None:
    parameters = {
        "top_k": 3,
        "doc_stride": 64,
        "max_answer_len": 15,
        "max_seq_len": 256,
        "max_question_len": 64,
        "handle_impossible_answer": False,
        "align_to_words": True,
    }
    answers = send(client, {"inputs": ITEM, "parameters": parameters}).json()
    assert 1 < len(answers) <= 3
    assert all(map(is_answer, answers))
    nulls = send(client, {"inputs": ITEM, "parameters": dict.fromkeys(parameters)}).json()
    assert is_answer(nulls)


@pytest.mark.parametrize(
    "inputs",
    [
        [ITEM, ITEM],
        {"question": [QUESTION, QUESTION], "context": [CONTEXT, CONTEXT]},
        {"question": [QUESTION, QUESTION], "context": CONTEXT},
    ],
)
def test_lists_get_one_answer_for_each_question(client: httpx.Client, inputs: Any) -> None:
    answers = send(client, {"inputs": inputs}).json()
    assert len(answers) == 2
    assert all(map(is_answer, answers))


def test_a_body_without_inputs_gets_the_fields_of_the_sample_too(client: httpx.Client) -> None:
    answer = send(client, ITEM).json()
    assert set(answer) == FIELDS | {"question", "precision", "version"}


def test_csv_and_numpy_are_refused(client: httpx.Client) -> None:
    csv = f"question,context\r\n{QUESTION},{CONTEXT}\r\n"
    sent = client.post("/invocations", content=csv, headers={"Content-Type": "text/csv", "Accept": "application/json"})
    assert sent.status_code == 415
    for accept in ("text/csv", "application/x-npy"):
        wanted = client.post("/invocations", json={"inputs": ITEM}, headers={"Accept": accept})
        assert wanted.status_code == 406


@pytest.mark.parametrize(
    ("parameters", "hint"),
    [({"topk": 3}, "did you mean top_k"), ({"unknown": 1}, "not known"), ({"top_k": 0}, "top_k")],
)
def test_parameters_that_are_not_known_are_named(client: httpx.Client, parameters: Any, hint: str) -> None:
    response = send(client, {"inputs": ITEM, "parameters": parameters})
    assert response.status_code == 422
    assert hint in response.json()["error"]


def test_a_list_of_one_item_and_one_of_three_answers_stay_lists(client: httpx.Client) -> None:
    assert isinstance(send(client, {"inputs": [ITEM]}).json(), list)
    one_word = {"inputs": {"question": "Who?", "context": "Zoë"}, "parameters": {"top_k": 3}}
    assert isinstance(send(client, one_word).json(), list)


def test_the_page_lists_what_is_different() -> None:
    different = [row[0] for row in pages.rows(pages.section(PAGE, "The requests"))]
    for name in ("text/csv", "`topk`", "unknown parameters", "a list of one item", "max_question_len"):
        assert any(name in cell for cell in different), name
