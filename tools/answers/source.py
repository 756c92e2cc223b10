"""Where answers come from: the interface between a command and an artifact, a server or a SageMaker endpoint.

To add a source, write a class with the members of AnswerSource, add its argument to tools/evaluate/arguments.py, and
open it in tools/evaluate/__main__.py. If the source has a function that takes the body of POST /invocations and returns
the body of the response, pass this function to `remote_answers`, which does the rest.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from container.precision import Precision
from serve.qa.spans import SpanRules
from tools.errors import ToolError
from tools.squad.examples import Example
from tools.squad.rules import MAX_QUESTION_LEN

CLIENTS = 4

Ask = Callable[[bytes], bytes]  # the body of POST /invocations -> the body of its 200 response; raises ToolError


class AnswerSource(Protocol):
    """Something that answers questions in one or more precisions. Every member may raise ToolError."""

    @property
    def precisions(self) -> Sequence[Precision]:
        """The precisions that the source answers in, or those of them that the user asked for."""

    def info(self) -> Mapping[str, Any]:
        """Describe what answers and where it runs, in the form of the server's /info."""

    def identity(self, precision: Precision) -> Mapping[str, Any] | None:
        """Return everything that two runs must have in common to give the same answers; None if that is unknown."""

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[str]:
        """Yield the answers in the order of the examples, each as soon as it is known."""


def remote_answers(
    ask: Ask, precision: Precision, examples: Sequence[Example], rules: SpanRules, clients: int = CLIENTS
) -> Iterator[str]:
    """Yield the answers in the order of the examples. Several clients ask at the same time.

    Raises: ToolError, whose message names the question.
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
        # After an error or Ctrl-C, wait for the requests that were sent, but do not send the thousands that remain.
        pool.shutdown(cancel_futures=True)


def request_body(precision: Precision, example: Example, rules: SpanRules) -> bytes:
    """Return the body of POST /invocations for one question, in the form that the AWS sample uses."""
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
