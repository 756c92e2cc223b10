"""The settings of what a request asks for if it does not say so: answers, or highlighted sentences."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from container.lanes.settings import AUTO
from container.tasks.names import OffsetUnit, Task


class TaskSettings(BaseSettings):
    """The default task, and how sentences are highlighted."""

    default_task: Task = Field(
        "question-answering",
        validation_alias="DEFAULT_TASK",
        description="Requests without the parameter `task` get this task: `question-answering` or `highlight`. Set "
        "`highlight` for callers that send no parameters, such as OpenSearch's connector. A token-relevance model "
        "always highlights.",
    )
    highlight_threshold: Annotated[float | None, AUTO] = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        validation_alias="HIGHLIGHT_THRESHOLD",
        description="Sentences with a lower score than this are not highlighted. With `auto` this is `0.1` for a "
        "question-answering model, and `0.5` for a token-relevance model. The parameter `highlight_threshold` of a "
        "request overrides it.",
    )
    highlight_offset_unit: Annotated[OffsetUnit | None, AUTO] = Field(
        None,
        validation_alias="HIGHLIGHT_OFFSET_UNIT",
        description="The offsets of highlights count these units: `code_points`, `utf16` or `bytes` of UTF-8. With "
        "`auto` they count UTF-16 units in answers to OpenSearch's connector, and code points in all others. "
        "The parameter `offset_unit` of a request overrides it.",
    )
