"""The settings that say which lanes the server plans, and what they run.

container/settings.py reads them from the environment, together with all others.
"""

from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field
from pydantic_settings import BaseSettings

from container.validation import values

AUTO = BeforeValidator(values.none_if_auto)


class LaneSettings(BaseSettings):
    """A part of the server's settings."""

    narrow_lanes: Annotated[int | None, AUTO] = Field(
        None,
        ge=1,
        le=256,
        validation_alias=AliasChoices("NARROW_LANES", "SAGEMAKER_MODEL_SERVER_WORKERS"),
        description="The server uses at most this many cores and runs one narrow lane on each. With `auto` it uses "
        "every physical core that it may use.",
    )
    wide_lane: bool = Field(
        True,
        validation_alias="WIDE_LANE",
        description="Adds wide lanes, which use several cores for one window. They give the lowest latency while few "
        "windows wait.",
    )
    background_lanes: bool = Field(
        True,
        validation_alias="BACKGROUND_LANES",
        description="Adds background lanes, which run the windows of a request after its fourth one. They give way to "
        "other requests. A multi-model endpoint has none.",
    )
    rung_step: Annotated[int | None, AUTO] = Field(
        None,
        ge=8,
        le=512,
        validation_alias="RUNG_STEP",
        description="The rungs of the ladder are this many tokens apart. A larger step needs less memory but pads "
        "windows more. With `auto` the step is 16, or more if memory is short; on a multi-model endpoint it is 64.",
    )
    max_batch_windows: Annotated[int | None, AUTO] = Field(
        None,
        ge=1,
        le=16,
        validation_alias="MAX_BATCH_WINDOWS",
        description="At most this many waiting windows run in one call of the model, where the server has measured "
        "that this is faster. With `auto` it is 4, and on a multi-model endpoint 1. With `1` each window runs alone.",
    )
