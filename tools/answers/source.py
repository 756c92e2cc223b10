"""Where answers come from: the seam between evaluate and an artifact, a server, or whatever speaks /invocations.

A new source is one class with these four members, a line in tools.evaluate's `_open`, and its argument. One that takes
the bytes of POST /invocations and gives back its answer's needs only `Ask`: `remote_answers` does the rest.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from container.precision import Precision
from serve.qa.spans import SpanRules
from tools.errors import ToolError
from tools.squad.examples import Example

# run_qa's rules: answers of at most 30 tokens, not widened to words.
RULES = SpanRules(top_k=1, max_answer_len=30, handle_impossible_answer=False, align_to_words=False)
MAX_QUESTION_LEN = 64
CLIENTS = 4

Ask = Callable[[bytes], bytes]  # the body of POST /invocations -> that of its 200; raises ToolError


class AnswerSource(Protocol):
    """Something that answers questions in one or more precisions. Every member may raise ToolError."""

    @property
    def precisions(self) -> Sequence[Precision]:
        """Those to evaluate."""

    def info(self) -> Mapping[str, Any]:
        """What answers and where it runs, in the shape of the server's /info."""

    def identity(self, precision: Precision) -> Mapping[str, Any] | None:
        """What must be the same for two runs to give the same answers; None where that cannot be told."""

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[str]:
        """Answers in the order of the examples, as they come."""


def remote_answers(
    ask: Ask, precision: Precision, examples: Sequence[Example], rules: SpanRules, clients: int = CLIENTS
) -> Iterator[str]:
    """Answers over the wire, so many requests at once.

    Raises: ToolError, which names the question.
    """

    def answer(example: Example) -> str:
        try:
            found: str = json.loads(ask(request_body(precision, example, rules)))["answer"]
        except ToolError as error:
            raise ToolError(f"question {example.id}: {error}") from None
        except (ValueError, KeyError, TypeError):
            raise ToolError(f"question {example.id}: the response is not an answer of this project's server") from None
        return found

    pool = ThreadPoolExecutor(clients)
    try:
        yield from pool.map(answer, examples)
    finally:
        pool.shutdown(cancel_futures=True)  # an error or Ctrl-C waits for those under way, not for thousands


def request_body(precision: Precision, example: Example, rules: SpanRules) -> bytes:
    """One question in the sample's form, as bytes of JSON."""
    parameters = {
        "max_answer_len": rules.max_answer_len,
        "max_question_len": MAX_QUESTION_LEN,
        "handle_impossible_answer": rules.handle_impossible_answer,
        "align_to_words": rules.align_to_words,
    }
    body = {
        "question": example.question,
        "context": example.context,
        "version": precision,
        "parameters": parameters,
    }
    return json.dumps(body).encode()
