"""The wire format of answers in their four forms. See docs/api.md."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from container.precision import Precision
from serve.api.body.highlights import Highlights, SampleHighlights, highlights_body, sample_highlights_body
from serve.qa.types import Answer, AnsweredQuestion


class AnswerBody(BaseModel):
    """`context[start:end] == answer`, in code points of the context as it was sent; score is a probability."""

    model_config = ConfigDict(extra="forbid")

    answer: str
    score: float = Field(ge=0, le=1)
    start: int
    end: int
    null_score: float = Field(0, ge=0, le=1, description='the score of ""; present with handle_impossible_answer')
    logit: float | None = Field(
        None, description="start logit plus end logit, null without any span; present with return_logits"
    )
    context_index: int = Field(0, ge=0, description="the place of the answer's passage in contexts; present with them")
    null_logit: float = Field(0, description='that of ""; present with return_logits and handle_impossible_answer')


class SampleAnswer(AnswerBody):
    """The answer to one item in the sample's form."""

    question: str
    precision: Precision
    version: Precision = Field(description="the same as `precision`, under its name in the AWS sample")
    answers: list[AnswerBody] = Field([], description="all answers; present if top_k is above 1")


class AnswerList(RootModel[list[AnswerBody | list[AnswerBody] | Highlights]]):
    """Answers in Hugging Face's form: all of one item if top_k is above 1; one or all of each item of a list."""


class Predictions(BaseModel):
    """The answer in the instances form."""

    model_config = ConfigDict(extra="forbid")

    predictions: list[SampleAnswer | SampleHighlights]


def answer_body(answer: Answer) -> dict[str, Any]:
    """Return one answer with the fields of Hugging Face's pipeline, in the pipeline's order."""
    body = {"score": answer.score, "start": answer.start, "end": answer.end, "answer": answer.answer}
    if answer.details is not None:
        body.update(answer.details)
    return body


def sample_body(answered: AnsweredQuestion) -> dict[str, Any]:
    """Return the answer to one item in the sample's form, or its highlights."""
    if answered.highlights is not None:
        return sample_highlights_body(answered)
    best = answered.answers[0]
    precision = {"precision": answered.precision, "version": answered.precision}
    body = {"question": answered.question.text, **answer_body(best), **precision}
    if answered.question.parameters.top_k > 1:
        body["answers"] = [answer_body(answer) for answer in answered.answers]
    return body


def huggingface_body(answered: AnsweredQuestion) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the answer to one item as Hugging Face's pipeline does: a list if top_k is above 1, even of one answer.

    Highlights are an object with a list, whatever their number.
    """
    if answered.highlights is not None:
        return highlights_body(answered)
    if answered.question.parameters.top_k > 1:
        return [answer_body(answer) for answer in answered.answers]
    return answer_body(answered.answers[0])
