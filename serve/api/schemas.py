"""The wire format: requests and answers in their four forms, with the limits of each field. See docs/api.md."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from container.precision import Precision
from serve.qa.types import Answer, AnsweredQuestion, Question
from serve.qa.types import Parameters as SearchParameters

DEFAULTS = SearchParameters()
NOT_BLANK = r"\S"
WITHOUT_SLASH = r"^[^/]+$"
# Pydantic's own message for a text that does not match shows the regular expression, which says little to a client.
PATTERN_MESSAGES = {NOT_BLANK: "must contain more than white space", WITHOUT_SLASH: "must not contain a slash"}

Form = Literal["sample", "huggingface", "instances"]
Text = Annotated[str, StringConstraints(strict=True, pattern=NOT_BLANK)]
Version = Annotated[Precision, BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)]


class Parameters(BaseModel):
    """How to search for an answer. Names and meanings are those of Hugging Face's pipeline; lengths are in tokens."""

    model_config = ConfigDict(extra="forbid", strict=True)

    top_k: int = Field(DEFAULTS.top_k, ge=1, le=100, description="the largest number of answers")
    max_answer_len: int = Field(DEFAULTS.max_answer_len, ge=1, le=512)
    max_seq_len: int | None = Field(
        DEFAULTS.max_seq_len,
        ge=16,
        description="length of a window; the artifact's length is the default and the limit",
    )
    doc_stride: int | None = Field(
        DEFAULTS.doc_stride, ge=0, description="overlap of two windows; the default is the artifact's"
    )
    max_question_len: int = Field(DEFAULTS.max_question_len, ge=1, le=512)
    handle_impossible_answer: bool = Field(DEFAULTS.handle_impossible_answer, description='let "" compete as an answer')
    align_to_words: bool = Field(
        DEFAULTS.align_to_words, description="widen an answer to whole words; Hugging Face's run_qa does not"
    )

    def to_search_parameters(self) -> SearchParameters:
        """Convert the parameters to those of the data path."""
        return SearchParameters(
            top_k=self.top_k,
            max_answer_len=self.max_answer_len,
            max_seq_len=self.max_seq_len,
            doc_stride=self.doc_stride,
            max_question_len=self.max_question_len,
            handle_impossible_answer=self.handle_impossible_answer,
            align_to_words=self.align_to_words,
        )


class Item(BaseModel):
    """One question about one context. Other fields, such as the id in a data set, are ignored."""

    question: Text
    context: Text
    version: Version | None = Field(
        None, description="INT8, BF16 or FP32; the default is the fastest precision that is loaded"
    )
    parameters: Parameters | None = None

    def to_question(self, version: Precision | None = None, parameters: SearchParameters = DEFAULTS) -> Question:
        """Convert the item; version and parameters apply if the item has none of its own."""
        if self.parameters is not None:
            parameters = self.parameters.to_search_parameters()
        return Question(self.question, self.context, self.version or version, parameters)


class SampleRequest(Item):
    """The form of the AWS sample: one item."""


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
    """The model that a multi-model endpoint loads: a name that the platform chooses, and the directory of its files."""

    model_config = ConfigDict(protected_namespaces=())  # the platform calls the field model_name

    model_name: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1024, pattern=WITHOUT_SLASH)]
    url: Annotated[str, StringConstraints(strict=True, min_length=1)]


class AnswerBody(BaseModel):
    """`context[start:end] == answer`, in code points of the context as it was sent; score is a probability."""

    answer: str
    score: float = Field(ge=0, le=1)
    start: int
    end: int


class SampleAnswer(AnswerBody):
    """The answer to one item in the sample's form."""

    question: str
    version: Precision
    answers: list[AnswerBody] | None = Field(None, description="all answers; present if top_k is above 1")


class Predictions(BaseModel):
    """The answer in the instances form."""

    predictions: list[SampleAnswer]


class ErrorBody(BaseModel):
    """The body of every error."""

    error_type: str
    error: str
    request_id: str


def answer_body(answer: Answer) -> dict[str, Any]:
    """Return one answer with the fields of Hugging Face's pipeline, in the pipeline's order."""
    return {"score": answer.score, "start": answer.start, "end": answer.end, "answer": answer.answer}


def sample_body(answered: AnsweredQuestion) -> dict[str, Any]:
    """Return the answer to one item in the sample's form."""
    best = answered.answers[0]
    body = {"question": answered.question.text, **answer_body(best), "version": answered.precision}
    if answered.question.parameters.top_k > 1:
        body["answers"] = [answer_body(answer) for answer in answered.answers]
    return body


def huggingface_body(answered: AnsweredQuestion) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the answer to one item as Hugging Face's pipeline does: a list if top_k is above 1, even of one answer."""
    if answered.question.parameters.top_k > 1:
        return [answer_body(answer) for answer in answered.answers]
    return answer_body(answered.answers[0])
