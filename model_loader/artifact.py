"""Open an artifact on disk: check that it is complete, and choose the precisions that this machine can run."""

import importlib.metadata
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from container.access.trusted_keys import TrustedKeys
from container.cpu import Cpu
from container.precision import PRECISIONS, Precision
from container.tasks.names import ModelTask
from model_loader import manifest as manifests
from model_loader.errors import ArtifactMissing, PrecisionUnsupported
from model_loader.manifest import Manifest
from model_loader.model_file import Engine, InputName, ModelFile
from model_loader.signing import signature
from model_loader.signing.file_hash import verify_file

log = logging.getLogger(__name__)

REMEDY = (
    "It must be a directory that `quantize` wrote: mount it at /opt/ml/model, name it in MODEL_DIR, or give it as the "
    "url when you load a model"
)
SAMPLE_FILES: dict[Precision, str] = {"INT8": "model_int8.pt", "BF16": "model_bf16.pt", "FP32": "model_fp32.pt"}
# The models of the AWS sample take these inputs. The sample stores no limits on windows; these are run_qa's defaults.
SAMPLE_INPUTS: list[InputName] = ["input_ids", "attention_mask", "token_type_ids"]
SAMPLE_MAX_SEQ_LEN = 384
SAMPLE_DOC_STRIDE = 128


@dataclass(frozen=True)
class Artifact:
    """An artifact whose files are verified.

    manifest: None if the directory has the layout of the AWS sample.
    models: one file for each precision to serve, in order of preference.
    passed_over: for each precision that the artifact contains but that is not served, the reason.
    """

    directory: Path
    manifest: Manifest | None
    models: tuple[ModelFile, ...]
    max_seq_len: int
    doc_stride: int
    passed_over: Mapping[Precision, str] = field(default_factory=dict)

    @property
    def tokenizer_file(self) -> Path:
        """The file from which the tokenizer is loaded."""
        return self.directory / "tokenizer.json"

    @property
    def task(self) -> ModelTask:
        """What the model was trained for. The models of the AWS sample, which have no manifest, find answers."""
        return self.manifest.task if self.manifest else "question-answering"

    @property
    def no_answer_threshold(self) -> float:
        """By how much the null logit sum must exceed the best span's so that the answer is ""; 0 if it is not known."""
        return (self.manifest.no_answer_threshold if self.manifest else None) or 0.0

    @property
    def temperature(self) -> float:
        """What divides the logits in the softmax of scores; 1 without a calibration."""
        return (self.manifest.temperature if self.manifest else None) or 1.0

    @property
    def log_odds_shift(self) -> float:
        """What is added to the log odds of the best candidate; 0 without a calibration."""
        calibration = self.manifest.calibration if self.manifest else None
        return calibration.log_odds_shift if calibration else 0.0

    @property
    def file_mb(self) -> dict[Precision, float]:
        """The size of each precision's files in megabytes."""
        if self.manifest is None:
            return {model.precision: Path(model.path).stat().st_size / 1e6 for model in self.models}
        entries = ((model.precision, self.manifest.precisions[model.precision]) for model in self.models)
        return {precision: sum(file.size_bytes for file in entry.files) / 1e6 for precision, entry in entries}

    @property
    def engine(self) -> Engine:
        """The engine of the preferred precision. openvino runs all precisions of an artifact, or none."""
        return self.models[0].engine

    @property
    def name(self) -> str:
        """The name of the checkpoint that the artifact was made from, or of its directory if it has no manifest."""
        return self.manifest.source_model if self.manifest else self.directory.name


def open_artifact(
    directory: Path, wanted: tuple[Precision, ...] | None, cpu: Cpu, trusted: TrustedKeys | None = None
) -> Artifact:
    """Verify the artifact in a directory and choose the precisions to serve.

    wanted lists precisions that must all be served. With None, every precision that can run on this CPU is served.
    trusted: the keys of which one must have signed the artifact; None if it need not be signed.

    Raises: ArtifactMissing, ArtifactInvalid or PrecisionUnsupported.
    """
    if not directory.is_dir():
        raise ArtifactMissing(f"no model: {directory} is not a directory. {REMEDY}")
    if not (directory / "tokenizer.json").is_file():
        raise ArtifactMissing(f"no model: {directory} has no tokenizer.json. {REMEDY}")
    if os.path.lexists(directory / manifests.FILE_NAME):  # a broken link must not pass for a directory without manifest
        return _open_with_manifest(directory, manifests.read(directory, trusted), wanted, cpu)
    if trusted:
        raise signature.unsigned(directory)
    return _open_sample_layout(directory, wanted, cpu)


def _open_with_manifest(
    directory: Path, manifest: Manifest, wanted: tuple[Precision, ...] | None, cpu: Cpu
) -> Artifact:
    tokenizer = manifest.tokenizer
    verify_file(directory / tokenizer.file, tokenizer.sha256, tokenizer.size_bytes)
    models = []
    passed_over: dict[Precision, str] = {}
    for precision in _select(tuple(manifest.precisions), wanted):
        entry = manifest.precisions[precision]
        reason = _find_obstacle(precision, entry.engine, manifest, cpu)
        if reason and wanted:
            raise PrecisionUnsupported(f"{precision} cannot run on this machine: {reason}")
        if reason:
            log.warning("%s is not served: %s", precision, reason)
            passed_over[precision] = reason
            continue
        for file in entry.files:
            verify_file(directory / file.file, file.sha256, file.size_bytes)
        path = directory / entry.file
        models.append(ModelFile(precision, str(path), entry.engine, tuple(manifest.inputs), entry.fused_groups))
    if not models:
        raise PrecisionUnsupported(f"no precision in {directory} can run on this machine; the log lines above say why")
    return Artifact(directory, manifest, tuple(models), manifest.max_seq_len, manifest.doc_stride, passed_over)


def _open_sample_layout(directory: Path, wanted: tuple[Precision, ...] | None, cpu: Cpu) -> Artifact:
    runnable = [p for p in PRECISIONS if p != "BF16" or cpu.has_bf16]
    present = tuple(p for p in runnable if (directory / SAMPLE_FILES[p]).is_file())
    if not present:
        raise ArtifactMissing(
            f"no model: {directory} has neither manifest.json nor {' nor '.join(SAMPLE_FILES.values())}. {REMEDY}"
        )
    log.warning(
        "%s has no manifest.json: loading it in the layout of the AWS sample, which has no hashes, versions or golden "
        "examples to check. Use `quantize` to make an artifact that has them",
        directory,
    )
    models = tuple(
        ModelFile(p, str(directory / SAMPLE_FILES[p]), "ipex-torchscript", tuple(SAMPLE_INPUTS), None)
        for p in _select(present, wanted)
    )
    return Artifact(directory, None, models, SAMPLE_MAX_SEQ_LEN, SAMPLE_DOC_STRIDE)


def _select(present: tuple[Precision, ...], wanted: tuple[Precision, ...] | None) -> tuple[Precision, ...]:
    missing = [p for p in wanted or () if p not in present]
    if missing:
        raise PrecisionUnsupported(f"PRECISIONS asks for {missing[0]}, but the artifact has {', '.join(present)}")
    return tuple(p for p in PRECISIONS if p in (wanted or present))


def _find_obstacle(precision: Precision, engine: Engine, manifest: Manifest, cpu: Cpu) -> str | None:
    """Return the reason why this machine cannot run a precision, or None if it can."""
    made_with = manifest.made_with
    if precision == "BF16" and not cpu.has_bf16:
        return f"BF16 needs AVX-512 BF16 or AMX, or BF16 on ARM, but this CPU has {cpu.isa}"
    if cpu.is_arm and engine != "openvino":
        return "its engine runs on x86-64 CPUs only. Make the artifact again with `quantize --engine openvino`"
    if engine == "openvino":
        return _find_openvino_obstacle(made_with.openvino or "")
    torch_here = installed_version("torch")
    if torch_here is None or minor_version(torch_here) != minor_version(made_with.torch):
        return f"it was made with torch {made_with.torch}, but this machine has {torch_here or 'none'}"
    if engine == "ipex-torchscript":
        ipex_here = installed_version("intel-extension-for-pytorch")
        if ipex_here is None or minor_version(ipex_here) != minor_version(made_with.ipex or ""):
            name = "intel-extension-for-pytorch"
            return f"it was made with {name} {made_with.ipex}, but this machine has {ipex_here or 'none'}"
    return None


def _find_openvino_obstacle(made_with: str) -> str | None:
    """Return why this machine cannot run a model of OpenVINO. A newer version reads the files of an older one."""
    here = installed_version("openvino")
    if here is None:
        return "it needs openvino, which is not installed: pip install -r container/requirements-openvino.txt"
    if _numbers(here) < _numbers(made_with):
        return f"it was made with openvino {made_with}, and this machine has an older version, {here}"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in minor_version(version) if part.isdigit())


def installed_version(package: str) -> str | None:
    """Return the version of an installed package without importing it, or None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def minor_version(version: str) -> tuple[str, ...]:
    """Return the first two numbers of a version, such as ('2', '8') for '2.8.0+cpu'.

    A model file works with another version of torch or IPEX as long as these two numbers are the same.
    """
    return tuple(version.split(".")[:2])
