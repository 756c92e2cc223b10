"""Questions and answers inside the program. serve/api/schemas.py has the wire format that they are made from."""

from dataclasses import dataclass, field

from container.precision import Precision


@dataclass(frozen=True)
class Parameters:
    """How to search for one answer. Lengths and overlaps are in tokens; None means the artifact's own value."""

    top_k: int = 1
    max_answer_len: int = 30
    max_seq_len: int | None = None
    doc_stride: int | None = None
    max_question_len: int = 64
    handle_impossible_answer: bool = False
    align_to_words: bool = True


@dataclass(frozen=True)
class Question:
    """One question about one context. precision: None means the preferred one."""

    text: str
    context: str
    precision: Precision | None = None
    parameters: Parameters = field(default_factory=Parameters)


@dataclass(frozen=True)
class Answer:
    """`context[start:end] == answer`, in code points, end exclusive; score is a probability, 0 to 1.

    The empty answer has start 0 and end 0.
    """

    answer: str
    score: float
    start: int
    end: int


@dataclass(frozen=True)
class AnsweredQuestion:
    """A question with its answers, at least one and the best first, and the precision that gave them."""

    question: Question
    precision: Precision
    answers: list[Answer]
