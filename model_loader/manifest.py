"""The schema of manifest.json, which describes an artifact, how it was made, and how to check that it still works."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from container.access.trusted_keys import TrustedKeys
from container.precision import Precision
from container.tasks.names import ModelTask
from container.validation.messages import describe
from model_loader import other_schema
from model_loader.errors import ArtifactInvalid
from model_loader.model_file import Engine, InputName
from model_loader.signing import signature

SCHEMA_VERSION = 3
FILE_NAME = "manifest.json"
LONGEST_WINDOW = 2**16 - 1  # tokens; the frames to the lanes (model_loader/wire.py) have 16 bits for a length


class _Part(BaseModel):
    # An infinite limit would let every model pass its checks, so no number may be NaN or infinity.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MadeWith(_Part):
    """The machine and the versions of the libraries that made the artifact."""

    cpu: str
    isa: str
    python: str
    torch: str
    ipex: str | None
    transformers: str
    tokenizers: str
    openvino: str | None = None
    created: str  # in UTC and in the format of ISO 8601


class HashedFile(_Part):
    """A file of the artifact, with the size and the hash that it must have."""

    file: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")  # a file name, not a path
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)


class TokenizerFile(HashedFile):
    """The file of the tokenizer. It always has the same name, because other programs look for this name too."""

    file: Literal["tokenizer.json"]


class PrecisionEntry(HashedFile):
    """One model file and the measurements of its model."""

    engine: Engine
    weights: HashedFile | None = Field(None, description="the second file of a model of the engine openvino")
    fused_groups: int = Field(
        ge=0,
        description="number of fused LLGA groups in a warm pass, or with openvino of the linear layers that ran in "
        "this precision; 0 if the engine has none",
    )
    rms_difference: float = Field(ge=0, description="from FP32's logits of the golden examples, at quantization")
    recipe: dict[str, Any]

    @property
    def files(self) -> tuple[HashedFile, ...]:
        """The files of this model."""
        return (self, self.weights) if self.weights else (self,)

    # On the held-out examples: exact_match and f1 in percent, and the number of the examples.
    accuracy: dict[str, float] | None = None


class GoldenResult(_Part):
    """The answer and the logits of one precision to a golden example, recorded at quantization.

    Of a token-relevance model: the best sentence, and the logits of the two classes in the place of start and end.
    """

    answer: str
    start_logits: list[float]  # (T,)
    end_logits: list[float]  # (T,)


class GoldenExample(_Part):
    """A question and its context, their first window without padding, and the result of each precision.

    The text belongs to this project and never comes from the calibration file, whose owner may not want to share it.
    """

    question: str
    context: str
    input_ids: list[int] = Field(min_length=1)  # (T,)
    context_offset: int = Field(gt=0, description="position of the first context token, from which token types are 1")
    results: dict[Precision, GoldenResult]

    @model_validator(mode="after")
    def _check_lengths(self) -> "GoldenExample":
        for result in self.results.values():
            if not len(result.start_logits) == len(result.end_logits) == len(self.input_ids):
                raise ValueError("the logits and the input_ids of a golden example differ in length")
        return self


class ScoreCalibration(_Part):
    """The second part of the calibration of scores, and the questions that `evaluate --calibrate` has fitted both on.

    error_before, error_after: the expected calibration error of these questions, 0 to 1.
    """

    log_odds_shift: float = Field(ge=-20, le=20, description="added to the log odds of the best candidate")
    data: str
    data_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    questions: int = Field(gt=0)
    precision: Precision
    error_before: float = Field(ge=0, le=1)
    error_after: float = Field(ge=0, le=1)
    created: str  # in UTC and in the format of ISO 8601


class Manifest(_Part):
    """The content of manifest.json."""

    schema_version: Literal[3]
    task: ModelTask
    source_model: str
    model_type: str
    layers: int = Field(gt=0)
    embedding_rows: int = Field(gt=0, description="rows of the word embedding; every token id must be smaller")
    inputs: list[InputName] = Field(min_length=1)
    max_seq_len: int = Field(ge=16, le=LONGEST_WINDOW)
    doc_stride: int = Field(ge=0)
    no_answer_threshold: float | None = Field(
        None, description='of the null logit sum minus the best span\'s, above which the answer is ""'
    )
    temperature: float | None = Field(
        None, ge=0.05, le=20, description="that divides the logits in the softmax of scores"
    )
    calibration: ScoreCalibration | None = None
    made_with: MadeWith
    tokenizer: TokenizerFile
    precisions: dict[Precision, PrecisionEntry] = Field(min_length=1)
    golden_examples: list[GoldenExample] = Field(min_length=1)

    @property
    def files(self) -> tuple[HashedFile, ...]:
        """All files with a hash: the tokenizer's, and those of each precision."""
        return (self.tokenizer, *(file for entry in self.precisions.values() for file in entry.files))

    @model_validator(mode="after")
    def _check_engines(self) -> "Manifest":
        names = {entry.engine == "openvino" for entry in self.precisions.values()}
        if len(names) > 1:
            raise ValueError("one precision has the engine openvino and another one has not")
        for precision, entry in self.precisions.items():
            if (entry.engine == "openvino") != (entry.weights is not None):
                raise ValueError(f"{precision} must have a file of weights if its engine is openvino, and only then")
        return self

    @model_validator(mode="after")
    def _check_calibration(self) -> "Manifest":
        if self.calibration is not None and self.temperature is None:
            raise ValueError("calibration stands without the temperature that belongs to it")
        return self

    @model_validator(mode="after")
    def _check_golden_examples(self) -> "Manifest":
        for example in self.golden_examples:
            if missing := sorted(set(self.precisions) - set(example.results)):
                raise ValueError(f"a golden example has no result of {missing[0]}")
            if len(example.input_ids) > self.max_seq_len:
                raise ValueError("a golden example is longer than max_seq_len")
            if not 0 <= min(example.input_ids) <= max(example.input_ids) < self.embedding_rows:
                raise ValueError("a golden example has a token id for which the embedding has no row")
        return self


def read(directory: Path, trusted: TrustedKeys | None = None) -> Manifest:
    """Read and validate the manifest.json of an artifact.

    trusted: the keys of which one must have signed it; None if it need not be signed.

    Raises: ArtifactInvalid, which names the first invalid field, or the command that makes an older artifact again.
    """
    path = directory / FILE_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactInvalid(f"{path} cannot be read: {error.strerror}. Copy the artifact again") from None
    if trusted:
        signature.check(path, content, trusted)
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        other_schema.refuse(path, content, SCHEMA_VERSION)
        raise ArtifactInvalid(f"{path}: {describe(error)}. Make the artifact again with `quantize`") from None


def write(directory: Path, manifest: Manifest) -> None:
    """Write manifest.json into a directory. Whoever reads it meanwhile finds the old file or the new one, complete."""
    path = directory / FILE_NAME
    new = path.with_suffix(".json.new")
    new.write_text(manifest.model_dump_json(indent=1, exclude=_new_fields(manifest)) + "\n")
    os.replace(new, path)


def _new_fields(manifest: Manifest) -> dict[str, Any]:
    """Return the fields that earlier versions do not know and that say nothing here, as pydantic's `exclude`."""
    without_weights = {precision for precision, entry in manifest.precisions.items() if entry.weights is None}
    absent: dict[str, Any] = {"precisions": dict.fromkeys(without_weights, {"weights"})}
    if manifest.calibration is None:
        absent["calibration"] = True
    if manifest.made_with.openvino is None:
        absent["made_with"] = {"openvino"}
    return absent


def update(directory: Path, changes: Mapping[str, Any]) -> None:
    """Give fields of an artifact's manifest.json other values.

    Raises: ArtifactInvalid if the manifest cannot be read, cannot be written, or would not be valid.
    """
    manifest = read(directory)
    try:
        write(directory, Manifest.model_validate({**manifest.model_dump(), **changes}))
    except ValidationError as error:
        raise ArtifactInvalid(f"{directory / FILE_NAME}: {describe(error)}. The file was left as it is") from None
    except OSError as error:
        raise ArtifactInvalid(f"{directory / FILE_NAME} cannot be written: {error.strerror}") from None
