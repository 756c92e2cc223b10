"""The wire format of requests in their four forms, with the limits of each field. See docs/api.md."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Annotated, Any, Literal, Self, cast, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.config import JsonDict

from container.precision import Precision
from container.tasks.names import OffsetUnit, Task
from serve.api.model_schemas import MODEL_NAME, MODEL_NAME_RULE
from serve.qa.highlight.task import DEFAULT_SENTENCES, DEFAULT_TASKS, TaskDefaults
from serve.qa.types import ALONE, DEFAULT_PARAMETERS, Place, Question
from serve.qa.types import Parameters as SearchParameters

DEFAULTS = DEFAULT_PARAMETERS
NOT_BLANK = r"\S"
# Pydantic's own message for a text that does not match shows the regular expression, which says little to a client.
PATTERN_MESSAGES = {NOT_BLANK: "must contain more than white space", MODEL_NAME: MODEL_NAME_RULE}

Form = Literal["sample", "huggingface", "instances", "opensearch"]
Text = Annotated[str, StringConstraints(strict=True, pattern=NOT_BLANK)]
# JSON has one kind of number, and some libraries write 3 as 3.0.
WHOLE = BeforeValidator(lambda value: int(value) if isinstance(value, float) and value.is_integer() else value)
WantedPrecision = Annotated[
    Precision, BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)
]


OF_AN_ITEM = ("question", "context", "contexts")  # the fields that hold its texts


def without(names: Sequence[str], empty: Sequence[str] = ()) -> Callable[[JsonDict], None]:
    """Say in the schema of an object that it has no fields of these names, or only empty ones."""

    def extend(schema: JsonDict) -> None:
        properties = cast(JsonDict, schema["properties"])
        properties.update(dict.fromkeys(names, False))
        if "task" in names:  # data sets have columns of this name
            properties["task"] = {"not": {"enum": [each for each in get_args(Task) if each != DEFAULT_TASKS.task]}}
        properties.update({name: {"enum": [None, "", [], {}]} for name in empty})

    return extend


class Parameters(BaseModel):
    """How to search for an answer. Names and meanings are those of Hugging Face's pipeline; lengths are in tokens.

    A parameter that is missing or null has its default.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    top_k: Annotated[int, Field(ge=1, le=100), WHOLE] | None = Field(
        None, description=f"largest number of answers, {DEFAULTS.top_k}; or of highlights, {DEFAULT_SENTENCES}"
    )
    max_answer_len: Annotated[int, Field(ge=1, le=512), WHOLE] | None = Field(
        None, description=f"largest length of an answer; {DEFAULTS.max_answer_len}"
    )
    max_seq_len: Annotated[int, Field(ge=16), WHOLE] | None = Field(
        None, description="length of a window; the artifact's length is the default and the limit"
    )
    doc_stride: Annotated[int, Field(ge=0), WHOLE] | None = Field(
        None, description="overlap of two windows; the default is the artifact's"
    )
    max_question_len: Annotated[int, Field(ge=1, le=512), WHOLE] | None = Field(
        None, description=f"largest length of a question; {DEFAULTS.max_question_len}"
    )
    handle_impossible_answer: bool | None = Field(None, description='let "" compete as an answer; false')
    no_answer_threshold: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        None,
        description="how far the null logit sum must exceed the best span's so that the answer is \"\"; the artifact's",
    )
    return_logits: bool | None = Field(None, description="report the logit sum of each answer; false")
    align_to_words: bool | None = Field(
        None, description="widen an answer to whole words; true; Hugging Face's run_qa does not"
    )

    @model_validator(mode="before")
    @classmethod
    def _keep_one_unknown_name(cls, value: Any) -> Any:
        """Keep one name that is not known, which is enough for the error: each of them would need 500 bytes."""
        if not isinstance(value, dict) or len(value) <= len(cls.model_fields):
            return value
        unknown = next(name for name in value if name not in cls.model_fields)
        return {name: value[name] for name in (*cls.model_fields, unknown) if name in value}

    task: Task | None = Field(
        None, description="the best spans, or the sentences that answer, which every model has; DEFAULT_TASK"
    )
    highlight_threshold: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="the lowest score of a highlighted sentence; HIGHLIGHT_THRESHOLD"
    )
    offset_unit: OffsetUnit | None = Field(
        None, description="what the offsets of highlights count; HIGHLIGHT_OFFSET_UNIT"
    )

    def to_search_parameters(self, defaults: TaskDefaults) -> SearchParameters:
        """Convert the parameters to those of the data path.

        Raises: InvalidRequest if the task does not have one of them.
        """
        return defaults.parameters(self.model_dump(exclude_none=True))


PARAMETER_NAMES = tuple(Parameters.model_fields)


class WithPrecision(BaseModel):
    """A part of a request that may name a precision."""

    precision: WantedPrecision | None = Field(
        None, description="INT8, BF16 or FP32; the default is the fastest precision that is loaded"
    )
    version: WantedPrecision | None = Field(None, description="another name of `precision`, that of the AWS sample")
    parameters: Parameters | None = None

    @model_validator(mode="after")
    def _check_precision(self) -> Self:
        if self.precision and self.version and self.precision != self.version:
            raise ValueError("precision and version are two names for the same thing, and differ; send precision only")
        return self

    @property
    def wanted_precision(self) -> Precision | None:
        """The precision under either of its names."""
        return self.precision or self.version


class _Asked(WithPrecision):
    """A question about something."""

    question: Text

    def to_question(
        self,
        precision: Precision | None = None,
        parameters: SearchParameters = DEFAULTS,
        place: Place = ALONE,
        defaults: TaskDefaults = DEFAULT_TASKS,
    ) -> Question:
        """Convert the item; precision and parameters apply if the item has none of its own."""
        if self.parameters is not None:
            parameters = self.parameters.to_search_parameters(defaults)
        context, passage_ends = self._text()
        return Question(
            self.question, context, self.wanted_precision or precision, parameters, place, passage_ends=passage_ends
        )

    @abstractmethod
    def _text(self) -> tuple[str, tuple[int, ...]]:
        """Return the context, and where each passage in it ends if there are several."""


class Item(_Asked):
    """One question about one context. Other fields, such as the id in a data set, are ignored."""

    model_config = ConfigDict(json_schema_extra=without(PARAMETER_NAMES, empty=("contexts",)))

    context: Text

    def _text(self) -> tuple[str, tuple[int, ...]]:
        return self.context, ()


class PassagesItem(_Asked):
    """One question about several passages, which give one ranking of answers."""

    model_config = ConfigDict(json_schema_extra=without(PARAMETER_NAMES, empty=("context",)))

    contexts: Annotated[list[Text], Field(min_length=1), FailFast()]

    def _text(self) -> tuple[str, tuple[int, ...]]:
        return "".join(self.contexts), tuple(accumulate(map(len, self.contexts)))


class SampleRequest(Item):
    """The form of the AWS sample: one item."""

    model_config = ConfigDict(json_schema_extra=without(PARAMETER_NAMES, empty=("contexts", "inputs", "instances")))


class SamplePassagesRequest(PassagesItem):
    """The form of the AWS sample: one item with several passages."""

    model_config = ConfigDict(json_schema_extra=without(PARAMETER_NAMES, empty=("context", "inputs", "instances")))


class HuggingFaceRequest(WithPrecision):
    """Hugging Face's form with one item."""

    model_config = ConfigDict(json_schema_extra=without(PARAMETER_NAMES, empty=(*OF_AN_ITEM, "instances")))

    inputs: Item


class HuggingFacePassagesRequest(WithPrecision):
    """Hugging Face's form with one item that has several passages."""

    model_config = ConfigDict(json_schema_extra=without(PARAMETER_NAMES, empty=(*OF_AN_ITEM, "instances")))

    inputs: PassagesItem


class HuggingFaceListRequest(WithPrecision):
    """Hugging Face's form with a list of items."""

    model_config = ConfigDict(json_schema_extra=without(PARAMETER_NAMES, empty=(*OF_AN_ITEM, "instances")))

    inputs: list[Item | PassagesItem]


class InstancesRequest(WithPrecision):
    """The instances form."""

    model_config = ConfigDict(json_schema_extra=without(PARAMETER_NAMES, empty=(*OF_AN_ITEM, "inputs")))

    instances: list[Item | PassagesItem]


class ExecutionParameters(BaseModel):
    """How SageMaker's batch transform sends its data."""

    model_config = ConfigDict(extra="forbid")

    MaxConcurrentTransforms: int = Field(ge=1)
    BatchStrategy: Literal["MULTI_RECORD"]
    MaxPayloadInMB: int = Field(ge=1)


class ErrorBody(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(extra="forbid")

    error_type: str
    error: str
    request_id: str
