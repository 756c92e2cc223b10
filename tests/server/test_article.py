"""The demo model answers the two questions of the article by AWS and Intel, in every precision."""

import json
from pathlib import Path

import httpx
import pytest

# SQuAD's text is under a licence of its own and not in this repository. Where it lies beside the checkout, it is used.
VALIDATION = Path(__file__).parents[3] / "shared" / "data" / "squad" / "validation.json"
QUESTIONS = {
    "Which name is also used to describe the Amazon rainforest in English?": (
        "Amazonia",
        "Amazonia or the Amazon Jungle",
    ),
    "How many square kilometers of rainforest is covered in the basin?": ("5,500,000", "5,500,000 square kilometres"),
}


@pytest.mark.parametrize("precision", ["INT8", "FP32"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_articles_questions_about_squads_paragraph(client: httpx.Client, question: str, precision: str) -> None:
    if not VALIDATION.exists():
        pytest.skip(f"{VALIDATION} is missing")
    articles = json.loads(VALIDATION.read_bytes())["data"]
    context = next(article for article in articles if article["title"] == "Amazon_rainforest")["paragraphs"][0][
        "context"
    ]
    assert _answer(client, question, context, precision) in QUESTIONS[question]


@pytest.mark.parametrize("precision", ["INT8", "FP32"])
def test_the_example_of_the_api(client: httpx.Client, precision: str) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/invocations"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert _answer(client, example["question"], example["context"], precision) == "Amazonia"


def _answer(client: httpx.Client, question: str, context: str, precision: str) -> str:
    body = {"question": question, "context": context, "version": precision}
    found = client.post("/invocations", json=body).raise_for_status().json()
    assert found["version"] == precision
    assert context[found["start"] : found["end"]] == found["answer"]
    answer: str = found["answer"]
    return answer
