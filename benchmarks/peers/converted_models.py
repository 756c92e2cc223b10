"""Convert a checkpoint to each peer's format, under build/peers/models. A newer checkpoint is converted again."""

import os
import subprocess
from pathlib import Path

from benchmarks.peers.environments import NO_TELEMETRY, python_of
from tools.errors import ToolError

MODELS = Path("build/peers/models")
CALIBRATION = Path("models/demo/calibration.json")
STORE = "torchserve"  # The archive in it holds only our handler; the handler loads the model from our artifact.
HANDLER = Path(__file__).parent / "serving" / "torchserve_handler.py"


def convert(checkpoint: Path, environments: set[str]) -> Path:
    """Make what the peers of these environments need and is missing; return the directory that holds it.

    Raises: ToolError.
    """
    weights = checkpoint / "model.safetensors"
    if not weights.is_file():
        raise ToolError(f"{checkpoint} is not a checkpoint: it has no model.safetensors")
    directory = MODELS / checkpoint.resolve().name
    directory.mkdir(parents=True, exist_ok=True)
    onnx, fp32, int8, ir = (
        directory / name
        for name in ("model.onnx", "onnxruntime_fp32.onnx", "onnxruntime_int8.onnx", "openvino_int8.xml")
    )
    if environments & {"onnxruntime", "openvino"}:
        _make(onnx, weights, "transformers", "to_onnx", checkpoint, onnx)
    if "onnxruntime" in environments:
        _make(int8, onnx, "onnxruntime", "to_onnxruntime", onnx, checkpoint, fp32, int8)
    if "openvino" in environments:
        _make(ir, onnx, "openvino", "to_openvino", onnx, checkpoint, CALIBRATION, ir)
    if "torchserve" in environments:
        _archive_handler(directory / STORE)
    return directory


def _make(target: Path, source: Path, environment: str, script: str, *arguments: Path) -> None:
    """Run a script of benchmarks.peers.convert unless the target is newer than its source.

    The script is named in a string because its imports exist only in the peer's environment.
    """
    if target.is_file() and target.stat().st_mtime >= source.stat().st_mtime:
        return
    print(f"converting: {target}", flush=True)
    _run(python_of(environment), "-W", "ignore", "-m", f"benchmarks.peers.convert.{script}", *map(str, arguments))


def _archive_handler(store: Path) -> None:
    """Write TorchServe's model archive as a directory."""
    store.mkdir(exist_ok=True)
    archived = store / "qa" / HANDLER.name
    if archived.is_file() and archived.read_bytes() == HANDLER.read_bytes():
        return
    archiver = str(python_of("torchserve").with_name("torch-model-archiver"))
    what = ("--model-name", "qa", "--version", "1.0", "--handler", str(HANDLER), "--export-path", str(store))
    _run(python_of("torchserve"), archiver, *what, "--archive-format", "no-archive", "--force")


def _run(python: Path, *arguments: str) -> None:
    if subprocess.run([python, *arguments], env={**os.environ, **NO_TELEMETRY}).returncode:
        raise ToolError(f"this command failed: {python} {' '.join(arguments)}")
