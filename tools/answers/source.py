"""Where answers come from: the interface between a command and an artifact, a server or a SageMaker endpoint.

To add a source, write a class with the members of AnswerSource, add its argument to tools/evaluate/arguments.py, and
open it in tools/evaluate/__main__.py. If the source has a function that takes the body of POST /invocations and returns
the body of the response, pass this function to `remote_answers`, which does the rest.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

from container.precision import Precision
from serve.qa.spans import SpanRules
from tools.errors import RequestRefused, ToolError
from tools.squad.examples import Example
from tools.squad.question_limit import QuestionLimit

CLIENTS = 4
LONGEST_TOKEN = 50  # characters
# What the server says of a question that it refuses (serve/qa/features.py).
_HAS_NO_WORDS = "question: has no words"
_IS_TOO_LONG = re.compile(r"question: has \d+ (tokens|characters)")

Ask = Callable[[bytes], bytes]  # the body of POST /invocations -> the body of its 200 response; raises ToolError


@dataclass(frozen=True)
class Reply:
    """What a source says about one question.

    Attributes:
        answer: the answer; "" if there is none.
        score: its probability, 0 to 1.
        best_span: the best answer that is not ""; only by v2.0's rules, else "".
        null_difference: the smallest null logit sum minus the best span's; None if "" is the only answer, or if the
            rules are those of v1.1.
    """

    answer: str
    score: float
    best_span: str = ""
    null_difference: float | None = None

    @classmethod
    def of(cls, answers: Sequence[Mapping[str, Any]]) -> "Reply":
        """Convert ranked answers, each with the fields of the API. By v2.0's rules these are two, with their logits.

        Raises: KeyError or TypeError if a field is missing or has another type.
        """
        first = answers[0]
        text, score = first["answer"], float(first["score"])
        span = next((one for one in answers if one["answer"]), None)
        if "null_logit" not in first or span is None:
            return cls(text, score)
        return cls(text, score, span["answer"], first["null_logit"] - span["logit"])


NO_REPLY = Reply("", 0.0)  # to a question without words, which is not asked


def rules_of_question(rules: SpanRules) -> SpanRules:
    """Return the rules to ask with. If "" competes, two answers and their logits tell "" and the best span apart."""
    return replace(rules, top_k=2, returns_logits=True) if rules.handle_impossible_answer else rules


class AnswerSource(Protocol):
    """Something that answers questions in one or more precisions. Every member may raise ToolError."""

    @property
    def question_limit(self) -> QuestionLimit:
        """How many tokens of a question are asked, and the questions that it concerned so far."""

    @property
    def precisions(self) -> Sequence[Precision]:
        """The precisions that the source answers in, or those of them that the user asked for."""

    def info(self) -> Mapping[str, Any]:
        """Describe what answers and where it runs, in the form of the server's /info."""

    def identity(self, precision: Precision) -> Mapping[str, Any] | None:
        """Return everything that two runs must have in common to give the same answers; None if that is unknown."""

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[Reply]:
        """Yield the replies in the order of the examples, each as soon as it is known."""


def remote_answers(
    ask: Ask, precision: Precision, examples: Sequence[Example], rules: SpanRules, limit: QuestionLimit | None = None
) -> Iterator[Reply]:
    """Yield the replies in the order of the examples. Several clients ask at the same time.

    A question that is too long is cut. One without words is not asked, and its answer is the empty text.

    Raises: ToolError, whose message names the question.
    """

    asker = _Asker(ask, precision, rules, limit or QuestionLimit())
    pool = ThreadPoolExecutor(CLIENTS)
    try:
        yield from pool.map(asker.answer, examples)
    finally:
        # After an error or Ctrl-C, wait for the requests that were sent, but do not send the thousands that remain.
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Asker:
    """Asks a source over the wire, which alone knows how many tokens a text has."""

    ask: Ask
    precision: Precision
    rules: SpanRules
    limit: QuestionLimit

    def answer(self, example: Example) -> Reply:
        """Return the reply to one question."""
        try:
            return self._fitted_answer(example)
        except ToolError as error:
            raise ToolError(f"question {example.id}: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ToolError(f"question {example.id}: the response is not an answer of this project's server") from None

    def _fitted_answer(self, example: Example) -> Reply:
        try:
            if example.question.strip():
                return self._answer(example)
        except RequestRefused as refusal:
            if _IS_TOO_LONG.match(refusal.reason):
                self.limit.cut.add(example.id)
                return self._answer(replace(example, question=self._longest_accepted(example.question)))
            if not refusal.reason.startswith(_HAS_NO_WORDS):
                raise
        self.limit.blank.add(example.id)
        return NO_REPLY

    def _answer(self, example: Example) -> Reply:
        found = json.loads(self.ask(request_body(self.precision, example, self.rules, self.limit.tokens)))
        return Reply.of(found.get("answers") or [found])

    def _longest_accepted(self, question: str) -> str:
        """Return as much of a question as the source accepts."""
        accepted, refused = 0, len(question)
        while refused - accepted > 1:
            middle = (accepted + refused) // 2
            if self._is_too_long(question[:middle]):
                refused = middle
            else:
                accepted = middle
        # A part of a word can have more tokens than the whole word, so a slightly longer text may be accepted too.
        for end in range(min(accepted + LONGEST_TOKEN, len(question)), accepted, -1):
            if not self._is_too_long(question[:end]):
                return question[:end]
        return question[:accepted]

    def _is_too_long(self, question: str) -> bool:
        short = Example("attempt", question, "text", ())  # a short context makes the attempt cheap
        try:
            self._answer(short)
        except RequestRefused as refusal:
            if _IS_TOO_LONG.match(refusal.reason):
                return True
            if not refusal.reason.startswith(_HAS_NO_WORDS):  # so far, the text may be white space
                raise
        return False


def request_body(precision: Precision, example: Example, rules: SpanRules, max_question_len: int) -> bytes:
    """Return the body of POST /invocations for one question, in the form that the AWS sample uses."""
    rules = rules_of_question(rules)
    parameters: dict[str, Any] = {
        "task": "question-answering",  # the server may have another default
        "max_answer_len": rules.max_answer_len,
        "max_question_len": max_question_len,
        "handle_impossible_answer": rules.handle_impossible_answer,
        "align_to_words": rules.align_to_words,
    }
    if rules.handle_impossible_answer:
        parameters |= {"top_k": rules.top_k, "return_logits": rules.returns_logits}
    body = {
        "question": example.question,
        "context": example.context,
        "precision": precision,
        "parameters": parameters,
    }
    return json.dumps(body).encode()
