"""The wire format: requests and answers in their four forms, with all limits. See docs/api.md."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from container.precision import Precision
from serve.qa.spans import Answer

Form = Literal["sample", "huggingface", "instances", "jsonlines"]
Text = Annotated[str, StringConstraints(strict=True, pattern=r"\S")]
Version = Annotated[Precision, BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)]


class Parameters(BaseModel):
    """How to search. Lengths in tokens; the names and meanings are those of Hugging Face's pipeline."""

    model_config = ConfigDict(extra="forbid", strict=True)

    top_k: int = Field(1, ge=1, le=100, description="how many answers, at most")
    max_answer_len: int = Field(30, ge=1, le=512)
    max_seq_len: int | None = Field(None, ge=16, description="of a window; default and limit: the artifact's")
    doc_stride: int | None = Field(None, ge=0, description="overlap of two windows; default: the artifact's")
    max_question_len: int = Field(64, ge=1, le=512)
    handle_impossible_answer: bool = Field(False, description='let "" compete as an answer')
    align_to_words: bool = Field(True, description="widen an answer to whole words; run_qa does not")


class Item(BaseModel):
    """One question about one context. Fields that are not named here are ignored, such as a data set's own id."""

    question: Text
    context: Text
    version: Version | None = Field(None, description="INT8, BF16 or FP32; default: the fastest loaded")
    parameters: Parameters | None = None


class SampleRequest(Item):
    """The AWS sample's form: one item."""


class HuggingFaceRequest(BaseModel):
    """Hugging Face's form with one item."""

    inputs: Item
    version: Version | None = None
    parameters: Parameters | None = None


class HuggingFaceListRequest(BaseModel):
    """Hugging Face's form with a list of items."""

    inputs: list[Item]
    version: Version | None = None
    parameters: Parameters | None = None


class InstancesRequest(BaseModel):
    """The instances form."""

    instances: list[Item]
    version: Version | None = None
    parameters: Parameters | None = None


class LoadRequest(BaseModel):
    """What a multi-model endpoint shall load: a name of the platform's making, and the unpacked model's directory."""

    model_config = ConfigDict(protected_namespaces=())  # model_name is the platform's word

    model_name: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1024, pattern=r"^[^/]+$")]
    url: Annotated[str, StringConstraints(strict=True, min_length=1)]


class AnswerBody(BaseModel):
    """`context[start:end] == answer`, in code points of the context as sent; score is a probability."""

    answer: str
    score: float = Field(ge=0, le=1)
    start: int
    end: int


class SampleAnswer(AnswerBody):
    """The answer to one item in the sample's form."""

    question: str
    version: Precision
    answers: list[AnswerBody] | None = Field(None, description="all of them, where top_k is above 1")


class Predictions(BaseModel):
    """The answer to the instances form."""

    predictions: list[SampleAnswer]


class ErrorBody(BaseModel):
    """Every error's body."""

    error_type: str
    error: str
    request_id: str


def answer_body(answer: Answer) -> dict[str, Any]:
    """One answer as Hugging Face's pipeline wrote it."""
    return {"score": answer.score, "start": answer.start, "end": answer.end, "answer": answer.answer}


def sample_body(item: Item, precision: Precision, answers: list[Answer]) -> dict[str, Any]:
    """The answer to one item in the sample's form."""
    body = {"question": item.question, **answer_body(answers[0]), "version": precision}
    if item.parameters and item.parameters.top_k > 1:
        body["answers"] = [answer_body(answer) for answer in answers]
    return body


def huggingface_body(item: Item, answers: list[Answer]) -> dict[str, Any] | list[dict[str, Any]]:
    """The answer to one item as the pipeline gave it; always a list where top_k is above 1."""
    if item.parameters and item.parameters.top_k > 1:
        return [answer_body(answer) for answer in answers]
    return answer_body(answers[0])
