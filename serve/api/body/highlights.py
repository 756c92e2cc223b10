"""The wire format of highlights: in the forms of this project, and in that of OpenSearch's connector.

The connector is the blueprint "sagemaker_semantic_highlighter" of OpenSearch's ml-commons. It always sends question,
context and inputs, and leaves either the first two or the last one empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from container.precision import Precision
from container.tasks.names import OffsetUnit
from serve.qa.highlight.task import TaskDefaults
from serve.qa.types import AnsweredQuestion, Highlight

CONNECTOR_FIELDS = frozenset({"question", "context", "inputs"})
CONNECTOR_UNIT: OffsetUnit = "utf16"  # OpenSearch's plugin neural-search inserts the tags into a Java string
OTHER_FORMS = frozenset({"contexts", "instances"})
IN_PLACE_OF_BLANK = "."  # is validated in the place of a blank text, which is not asked about
NO_HIGHLIGHTS: dict[str, Any] = {"highlights": []}


class HighlightBody(BaseModel):
    """A sentence in which the answer probably lies. OpenSearch's connector gets a part of these fields."""

    model_config = ConfigDict(extra="forbid")

    start: int = Field(ge=0, description="where the sentence begins in its context, in the request's `offset_unit`")
    end: int = Field(ge=0)
    text: str = ""
    score: float = Field(
        0,
        ge=0,
        le=1,
        description="the probability that the answer lies in the sentence; of a token-relevance model, the mean "
        "probability of its tokens",
    )
    position: int = Field(0, ge=0, description="the place of the sentence among those of its context")
    context_index: int = Field(0, ge=0, description="the place of the passage in contexts; present with them")


class Highlights(BaseModel):
    """The highlights of one item in Hugging Face's form and in that of OpenSearch's connector."""

    model_config = ConfigDict(extra="forbid")

    highlights: list[HighlightBody]


class SampleHighlights(Highlights):
    """The highlights of one item in the sample's form."""

    question: str
    precision: Precision
    version: Precision = Field(description="the same as `precision`, under its name in the AWS sample")


def highlights_body(answered: AnsweredQuestion) -> dict[str, Any]:
    """Return the highlights of one item in Hugging Face's form."""
    left_out = () if answered.question.passage_ends else ("context_index",)
    return {"highlights": [_without(asdict(each), left_out) for each in answered.highlights or ()]}


def sample_highlights_body(answered: AnsweredQuestion) -> dict[str, Any]:
    """Return the highlights of one item in the sample's form."""
    precision = {"precision": answered.precision, "version": answered.precision}
    return {"question": answered.question.text, **highlights_body(answered), **precision}


def connector_body(highlights: Sequence[Highlight], *, is_list: bool) -> dict[str, Any]:
    """Return the highlights of one text in the connector's form. is_list: whether the request has several texts."""
    fields = ("start", "end") if is_list else ("start", "end", "text", "position")
    return {"highlights": [{name: getattr(each, name) for name in fields} for each in highlights]}


def is_from_connector(value: Mapping[str, Any], defaults: TaskDefaults) -> bool:
    """Whether a request for highlights has the fields that OpenSearch's connector sends."""
    if not value.keys() >= CONNECTOR_FIELDS or value.keys() & OTHER_FORMS or not isinstance(value["inputs"], list):
        return False
    parameters = value.get("parameters")
    task = parameters.get("task") if isinstance(parameters, dict) else None
    return (task or defaults.task) == "highlight"


def take_blank_texts(value: dict[str, Any]) -> frozenset[int]:
    """Take the blank texts out of a request of the connector; return their places among its texts.

    Elsewhere such a text is an error. But OpenSearch sends the texts of all results of a search together, and the whole
    search would fail because a field of one document is empty.
    """
    texts = value["inputs"] or [value]
    blanks = set()
    for index, item in enumerate(texts):
        if not isinstance(item, dict) or (item is not value and "parameters" in item) or "contexts" in item:
            continue
        question, context = item.get("question"), item.get("context")
        if question and isinstance(question, str) and isinstance(context, str) and not context.strip():
            item["context"] = IN_PLACE_OF_BLANK
            blanks.add(index)
    return frozenset(blanks)


def _without(fields: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
