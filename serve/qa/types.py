"""Questions and answers inside the program. serve/api/schemas.py has the wire format that they are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from container.precision import Precision
from container.tasks.names import OffsetUnit


@dataclass(frozen=True, slots=True)
class Highlighting:
    """Which sentences to highlight: at most so many, with at least this score. unit: what their offsets count."""

    threshold: float
    sentences: int
    unit: OffsetUnit


@dataclass(frozen=True, slots=True)
class Parameters:
    """How to search for one answer, and what it reports.

    Lengths and overlaps are in tokens, and the threshold in units of logits; None means the artifact's own value.
    highlight: None unless the request asks for highlighted sentences in the place of answers.
    """

    top_k: int = 1
    max_answer_len: int = 30
    max_seq_len: int | None = None
    doc_stride: int | None = None
    max_question_len: int = 64
    handle_impossible_answer: bool = False
    align_to_words: bool = True
    no_answer_threshold: float | None = None
    return_logits: bool = False
    highlight: Highlighting | None = None


DEFAULT_PARAMETERS = Parameters()  # of a request that names none


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question stands in its request, for error messages.

    before: what stands before the path of each of its fields, such as "instances.1.". index: the place of the question
    in the lists that are the request's question and context; None if these are no lists.
    """

    before: str = ""
    index: int | None = None
    lists: tuple[str, ...] = ()  # which of question and context are lists

    def path(self, field: str) -> str:
        """Return the path of one of the question's fields."""
        return f"{self.before}{field}.{self.index}" if field in self.lists else f"{self.before}{field}"

    def locate(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """Return the complete path of a part of the question; the question itself has the path ()."""
        if not path:
            return (self.before.rstrip("."),) if self.before else ()
        return (self.path(str(path[0])), *path[1:])

    def of(self, message: str) -> str:
        """Return an error message that begins with a field, with the field's path in its place."""
        name, colon, rest = message.partition(":")
        return f"{self.path(name)}{colon}{rest}"


ALONE = Place()  # of a question whose fields are those of the request


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one context. precision: None means the preferred one.

    passage_ends: where each passage ends in the context, if the request gave several passages, which follow each other
    there without a gap; else ().
    """

    text: str
    context: str
    precision: Precision | None = None
    parameters: Parameters = field(default_factory=Parameters)
    place: Place = field(default=ALONE, compare=False)
    passage_ends: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """`context[start:end] == answer`, in code points, end exclusive; score is a probability, 0 to 1.

    The empty answer has start 0 and end 0. details: what it reports beside, by the names in docs/api.md; None: nothing.
    """

    answer: str
    score: float
    start: int
    end: int
    details: Mapping[str, float | None] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Highlight:
    """A sentence in which the answer probably lies; score is a probability, 0 to 1.

    start, end: its bounds in its passage, in the units that the request asks for. position: of the sentence among those
    of its passage, from 0. context_index: of its passage, 0 if there is only one context.
    """

    start: int
    end: int
    text: str
    score: float
    position: int
    context_index: int

    def between(self, start: int, end: int) -> "Highlight":
        """Return the same highlight with other bounds."""
        return replace(self, start=start, end=end)


class AnsweredQuestion(NamedTuple):
    """A question with its answers, at least one and the best first, and the precision that gave them.

    highlights: in the order of the text; None unless the question asks for them. A token-relevance model has
    highlights only, and no answers.
    """

    question: Question
    precision: Precision
    answers: list[Answer]
    highlights: list[Highlight] | None = None
