"""The schema of manifest.json, which describes an artifact, how it was made, and how to check that it still works."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from container.precision import Precision
from model_loader.errors import ArtifactInvalid
from model_loader.model_file import Engine, InputName

SCHEMA_VERSION = 2
FILE_NAME = "manifest.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MadeWith(_Part):
    """The machine and the versions of the libraries that made the artifact."""

    cpu: str
    isa: str
    python: str
    torch: str
    ipex: str | None
    transformers: str
    created: str  # in UTC and in the format of ISO 8601


class PrecisionEntry(_Part):
    """One model file and the measurements of its model."""

    file: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")  # a file name, not a path
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)
    engine: Engine
    fused_groups: int = Field(ge=0, description="number of fused LLGA groups in a warm pass; 0 if the engine has none")
    rms_difference: float = Field(ge=0, description="from FP32's logits of the golden examples, at quantization")
    recipe: dict[str, Any]
    # On the held-out examples: exact_match and f1 in percent, and the number of the examples.
    accuracy: dict[str, float] | None = None


class GoldenResult(_Part):
    """The answer and the logits of one precision to a golden example, recorded at quantization."""

    answer: str
    start_logits: list[float]  # (T,)
    end_logits: list[float]  # (T,)


class GoldenExample(_Part):
    """A question and its context, their window without padding, and the result of each precision."""

    question: str
    context: str
    input_ids: list[int]  # (T,)
    context_offset: int = Field(gt=0, description="position of the first context token, from which token types are 1")
    results: dict[Precision, GoldenResult]

    @model_validator(mode="after")
    def _check_lengths(self) -> "GoldenExample":
        for result in self.results.values():
            if not len(result.start_logits) == len(result.end_logits) == len(self.input_ids):
                raise ValueError("the logits and the input_ids of a golden example differ in length")
        return self


class Manifest(_Part):
    """The content of manifest.json."""

    schema_version: Literal[2]
    task: Literal["question-answering"]
    source_model: str
    model_type: str
    layers: int = Field(gt=0)
    inputs: list[InputName] = Field(min_length=1)
    max_seq_len: int = Field(ge=16)
    doc_stride: int = Field(ge=0)
    made_with: MadeWith
    precisions: dict[Precision, PrecisionEntry] = Field(min_length=1)
    golden_examples: list[GoldenExample]


def read(directory: Path) -> Manifest:
    """Read and validate the manifest.json of an artifact.

    Raises: ArtifactInvalid, which names the first invalid field.
    """
    path = directory / FILE_NAME
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ArtifactInvalid(f"{path}: {where}: {first['msg']}. Make the artifact again with `quantize`") from None


def write(directory: Path, manifest: Manifest) -> None:
    """Write manifest.json into a directory."""
    (directory / FILE_NAME).write_text(manifest.model_dump_json(indent=1) + "\n")
