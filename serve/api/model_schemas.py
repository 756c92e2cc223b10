"""The wire format of the routes under /models (docs/batch-and-multi-model.md) and /v1/models (docs/platforms.md)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

MODEL_NAME = r"^[^/\x00-\x1f\x7f]*[^/\x00-\x20\x7f.][^/\x00-\x1f\x7f]*$"
MODEL_NAME_RULE = "must have a character other than dots and spaces, and neither a slash nor a control character"


class LoadRequest(BaseModel):
    """The model that a multi-model endpoint loads: a name that the platform chooses, and the directory of its files."""

    model_config = ConfigDict(protected_namespaces=())  # the platform calls the field model_name

    model_name: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1024, pattern=MODEL_NAME)]
    url: Annotated[str, StringConstraints(strict=True, min_length=1)]


class ModelEntry(BaseModel):
    """A model that is loaded."""

    model_config = ConfigDict(extra="forbid")

    modelName: str  # the names of these fields are the platform's
    modelUrl: str


class ModelPage(BaseModel):
    """One page of the models that are loaded. The last page has no nextPageToken."""

    model_config = ConfigDict(extra="forbid")

    models: list[ModelEntry]
    nextPageToken: str = ""


class ModelNames(BaseModel):
    """The name of the model that the server has, in a list."""

    model_config = ConfigDict(extra="forbid")

    models: list[str]


class ReadyModel(BaseModel):
    """A model that can answer now."""

    model_config = ConfigDict(extra="forbid")

    name: str
    ready: Literal[True]
