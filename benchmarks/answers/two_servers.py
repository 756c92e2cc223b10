"""Ask two servers the same questions, and compare their best three answers.

    python -m benchmarks.answers.two_servers --data squad.json http://127.0.0.1:8080 http://127.0.0.1:8081

Both servers must serve the same model files, for example two versions of this program with one artifact. Start them
with WIDE_LANE=false: lanes with other numbers of threads round differently. Every tenth text is followed by so much
white space that its body goes to a text process. The exit code is 1 if a span differs, or a score by more than 1e-6.
"""

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any

import httpx

from benchmarks import traffic
from benchmarks.arguments import add_questions
from tools.squad.examples import Example

TOP_K = 3
LARGE_EVERY = 10
LARGE = " " * 40_000
MAX_SCORE_DIFFERENCE = 1e-6
SECONDS = 120  # for one answer


def main() -> None:
    """Compare the servers, print one JSON object, and exit with the verdict."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs=2, help="the addresses of the two servers")
    add_questions(parser, default=1_000_000)
    given = parser.parse_args()
    examples = traffic.read(given.data, given.questions)
    first, second = (answers(url, examples) for url in given.urls)
    result = compare(first, second)
    print(json.dumps(result))
    sys.exit(int(result["different_spans"] > 0 or result["largest_score_difference"] > MAX_SCORE_DIFFERENCE))


def answers(url: str, examples: Sequence[Example]) -> list[list[dict[str, Any]]]:
    """Return a server's best answers to each question.

    Raises: httpx.HTTPStatusError if the server refuses a question.
    """
    found = []
    with httpx.Client(base_url=url, timeout=SECONDS) as client:
        for number, example in enumerate(examples):
            context = example.context + (LARGE if number % LARGE_EVERY == 0 else "")
            body = {"question": example.question, "context": context, "parameters": {"top_k": TOP_K}}
            found.append(client.post("/invocations", json=body).raise_for_status().json()["answers"])
    return found


def compare(first: Sequence[list[dict[str, Any]]], second: Sequence[list[dict[str, Any]]]) -> dict[str, Any]:
    """Return how many questions have other spans, and the largest difference of two scores."""
    different, largest = 0, 0.0
    for ours, theirs in zip(first, second, strict=True):
        if [_span(each) for each in ours] != [_span(each) for each in theirs]:
            different += 1
        else:
            largest = max([largest, *(abs(a["score"] - b["score"]) for a, b in zip(ours, theirs, strict=True))])
    return {"questions": len(first), "different_spans": different, "largest_score_difference": largest}


def _span(answer: dict[str, Any]) -> tuple[int, int, str]:
    return answer["start"], answer["end"], answer["answer"]


if __name__ == "__main__":
    main()
