"""Find an artifact on disk, prove that it is whole, and choose the precisions that can run here."""

import hashlib
import importlib.metadata
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from container.cpu import Cpu
from container.precision import PRECISIONS, Precision
from model_loader import manifest as manifests
from model_loader.errors import ArtifactInvalid, ArtifactMissing, PrecisionUnsupported
from model_loader.manifest import Manifest
from model_loader.model_file import Engine, InputName, ModelFile

log = logging.getLogger(__name__)

SAMPLE_FILES: dict[Precision, str] = {"INT8": "model_int8.pt", "BF16": "model_bf16.pt", "FP32": "model_fp32.pt"}
# What the AWS sample traced, and the limits that it did not write down. Positions beyond 512 do not exist in BERT.
SAMPLE_INPUTS: list[InputName] = ["input_ids", "attention_mask", "token_type_ids"]
SAMPLE_MAX_SEQ_LEN = 384
SAMPLE_DOC_STRIDE = 128


@dataclass(frozen=True)
class Artifact:
    """A verified artifact. manifest is None for the AWS sample's layout.

    models: the preferred precision first. passed_over: why a precision that it holds is not among them.
    """

    directory: Path
    manifest: Manifest | None
    models: tuple[ModelFile, ...]
    max_seq_len: int
    doc_stride: int
    passed_over: Mapping[Precision, str] = field(default_factory=dict)

    @property
    def tokenizer_file(self) -> Path:
        """The Rust tokenizer's own file."""
        return self.directory / "tokenizer.json"

    @property
    def file_mb(self) -> dict[Precision, float]:
        """Size of each precision's file, megabytes."""
        return {model.precision: Path(model.path).stat().st_size / 1e6 for model in self.models}

    @property
    def name(self) -> str:
        """The checkpoint that it was made from."""
        return self.manifest.source_model if self.manifest else self.directory.name


def open_artifact(directory: Path, wanted: tuple[Precision, ...] | None, cpu: Cpu) -> Artifact:
    """Verify the artifact in a directory and choose its precisions; wanted None means all that can run here.

    Raises: ArtifactMissing, ArtifactInvalid, PrecisionUnsupported.
    """
    if not directory.is_dir():
        raise ArtifactMissing(
            f"no model: {directory} is not a directory. Mount or set MODEL_DIR to one from `quantize`"
        )
    if not (directory / "tokenizer.json").is_file():
        raise ArtifactMissing(f"no model: {directory} holds no tokenizer.json. MODEL_DIR must name a `quantize` output")
    if (directory / manifests.FILE_NAME).is_file():
        return _open_with_manifest(directory, wanted, cpu)
    return _open_sample_layout(directory, wanted, cpu)


def _open_with_manifest(directory: Path, wanted: tuple[Precision, ...] | None, cpu: Cpu) -> Artifact:
    manifest = manifests.read(directory)
    models = []
    passed_over: dict[Precision, str] = {}
    for precision in _choose(tuple(manifest.precisions), wanted):
        entry = manifest.precisions[precision]
        obstacle = _obstacle(precision, entry.engine, manifest, cpu)
        if obstacle and wanted:
            raise PrecisionUnsupported(f"{precision} cannot run here: {obstacle}")
        if obstacle:
            log.warning("%s is passed over: %s", precision, obstacle)
            passed_over[precision] = obstacle
            continue
        path = directory / entry.file
        verify_file(path, entry.sha256, entry.size_bytes)
        models.append(ModelFile(precision, str(path), entry.engine, tuple(manifest.inputs), entry.fused_groups))
    if not models:
        raise PrecisionUnsupported(f"none of the precisions in {directory} can run here; the lines above say why")
    return Artifact(directory, manifest, tuple(models), manifest.max_seq_len, manifest.doc_stride, passed_over)


def _open_sample_layout(directory: Path, wanted: tuple[Precision, ...] | None, cpu: Cpu) -> Artifact:
    runnable = [p for p in PRECISIONS if p != "BF16" or cpu.has_bf16]
    present = tuple(p for p in runnable if (directory / SAMPLE_FILES[p]).is_file())
    if not present:
        raise ArtifactMissing(
            f"no model: {directory} holds neither manifest.json nor {' nor '.join(SAMPLE_FILES.values())}"
        )
    log.warning(
        "%s has no manifest.json: loading it as the AWS sample wrote it, without hashes, versions or "
        "golden examples to check. `quantize` makes an artifact that can be verified",
        directory,
    )
    models = tuple(
        ModelFile(p, str(directory / SAMPLE_FILES[p]), "ipex-torchscript", tuple(SAMPLE_INPUTS), None)
        for p in _choose(present, wanted)
    )
    return Artifact(directory, None, models, SAMPLE_MAX_SEQ_LEN, SAMPLE_DOC_STRIDE)


def _choose(present: tuple[Precision, ...], wanted: tuple[Precision, ...] | None) -> tuple[Precision, ...]:
    missing = [p for p in wanted or () if p not in present]
    if missing:
        raise PrecisionUnsupported(f"PRECISIONS asks for {missing[0]}; the artifact has {', '.join(present)}")
    return tuple(p for p in PRECISIONS if p in (wanted or present))


def _obstacle(precision: Precision, engine: Engine, manifest: Manifest, cpu: Cpu) -> str | None:
    """Why a precision cannot run here, or None."""
    made = manifest.made_with
    if precision == "BF16" and not cpu.has_bf16:
        return f"BF16 needs AVX-512 BF16 or AMX, this CPU has {cpu.isa}"
    torch_here = installed_version("torch")
    if torch_here is None or minor(torch_here) != minor(made.torch):
        return f"it was made with torch {made.torch}, here is {torch_here or 'none'}"
    if engine == "ipex-torchscript":
        ipex_here = installed_version("intel-extension-for-pytorch")
        if ipex_here is None or minor(ipex_here) != minor(made.ipex or ""):
            return f"it was made with intel-extension-for-pytorch {made.ipex}, here is {ipex_here or 'none'}"
    return None


def installed_version(package: str) -> str | None:
    """An installed package's version, without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def minor(version: str) -> tuple[str, ...]:
    """'2.8.0+cpu' -> ('2', '8'): TorchScript and IPEX's kernels go together by these."""
    return tuple(version.split(".")[:2])


def verify_file(path: Path, sha256: str, size_bytes: int) -> None:
    """Prove that a file is the one the manifest names.

    Raises: ArtifactMissing, ArtifactInvalid.
    """
    if not path.is_file():
        raise ArtifactMissing(f"{path} is missing, though the manifest names it. Copy the artifact again")
    if path.stat().st_size != size_bytes:
        raise ArtifactInvalid(f"{path} has {path.stat().st_size} bytes, the manifest says {size_bytes}. Copy it again")
    found = sha256_of(path)
    if found != sha256:
        raise ArtifactInvalid(f"{path} has SHA-256 {found}, the manifest says {sha256}. Copy the artifact again")


def sha256_of(path: Path) -> str:
    """A file's SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
