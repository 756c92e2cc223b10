"""Random questions, and the answers that a quiet server gives to them."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.hostile.catalogue import request
from tests.hostile.exchange import exchange
from tools.squad.examples import read_examples

FP32_SHARE = 0.1
SHORTEST, LONGEST = 50, 20_000  # characters of a context; as many are between 50 and 500 as between 2,000 and 20,000
SCORE_TOLERANCE = 1e-3  # scores differ in the last digits between lanes with different numbers of threads
CLEAR_LEAD = 0.02  # of the best answer over the second, so that rounding cannot exchange them


@dataclass(frozen=True)
class Reference:
    """A question with the answer of a quiet server.

    Attributes:
        item: question, context and precision, as they are sent.
        answer: score, start, end and answer.
    """

    item: dict[str, Any]
    answer: dict[str, Any]

    def agrees(self, answer: dict[str, Any]) -> bool:
        """Return whether another answer is the same span with the same score."""
        return abs(answer["score"] - self.answer["score"]) <= SCORE_TOLERANCE and all(
            answer[name] == self.answer[name] for name in ("start", "end", "answer")
        )


def ask_references(port: int, data: str, number: int, seed: int) -> list[Reference]:
    """Ask a quiet server questions of random lengths, one at a time, and keep `number` of them with a clear answer."""
    chance = random.Random(seed)
    examples = read_examples(data)
    references: list[Reference] = []
    while len(references) < number:
        asked = chance.choice(examples)
        length = int(SHORTEST * (LONGEST / SHORTEST) ** chance.random())
        context = asked.context
        while len(context) < length:
            context += "\n" + chance.choice(examples).context
        precision = "FP32" if chance.random() < FP32_SHARE else "INT8"
        item = {"question": asked.question, "context": context[:length], "precision": precision}
        (response,) = exchange(port, request(json.dumps({**item, "parameters": {"top_k": 2}}).encode()))
        assert response.status == 200, response.body
        best, *others = response.json()["answers"]
        if not others or best["score"] - others[0]["score"] > CLEAR_LEAD:
            references.append(Reference(item, best))
    return references


def body_of(form: str, asked: Sequence[Reference]) -> bytes:
    """Return a request body with some questions in one of the forms of docs/api.md."""
    items = [each.item for each in asked]
    # Hugging Face's form has the precision beside the items.
    apart = [{"inputs": {n: v for n, v in i.items() if n != "precision"}, "precision": i["precision"]} for i in items]
    match form:
        case "sample":
            return json.dumps(items[0]).encode()
        case "huggingface":
            return json.dumps(apart[0]).encode()
        case "huggingface list":
            return json.dumps({"inputs": items}).encode()
        case "instances":
            return json.dumps({"instances": items}).encode()
        case "lines":
            return b"".join(json.dumps(each).encode() + b"\n" for each in (*items[:1], *apart[1:]))
    raise ValueError(form)


SINGLE_FORMS = ("sample", "huggingface")
FORMS = (*SINGLE_FORMS, "huggingface list", "instances", "lines")


def answers_in(form: str, body: bytes) -> list[dict[str, Any]]:
    """Return the answers in the body of a response to `body_of`."""
    match form:
        case "sample" | "huggingface":
            return [json.loads(body)]
        case "huggingface list":
            return list(json.loads(body))
        case "instances":
            return list(json.loads(body)["predictions"])
        case "lines":
            return [json.loads(line) for line in body.splitlines()]
    raise ValueError(form)
