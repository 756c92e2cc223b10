"""A checkpoint in each peer's format, under build/peers/models/NAME; made again when the checkpoint is newer."""

import subprocess
from pathlib import Path

from benchmarks.peers.environments import python_of
from tools.errors import ToolError

MODELS = Path("build/peers/models")
CALIBRATION = Path("models/demo/calibration.json")
STORE = "torchserve"  # the archive holds our handler alone; the model comes from our artifact


def convert(checkpoint: Path, environments: set[str]) -> Path:
    """Make what the peers of these environments need and is missing; gives the directory that it is in."""
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
        _make(onnx, weights, "transformers", "convert_onnx", checkpoint, onnx)
    if "onnxruntime" in environments:
        _make(int8, onnx, "onnxruntime", "convert_onnxruntime", onnx, checkpoint, fp32, int8)
    if "openvino" in environments:
        _make(ir, onnx, "openvino", "convert_openvino", onnx, checkpoint, CALIBRATION, ir)
    if "torchserve" in environments:
        _archive(directory / STORE)
    return directory


def _make(target: Path, source: Path, environment: str, module: str, *arguments: Path) -> None:
    if target.is_file() and target.stat().st_mtime >= source.stat().st_mtime:
        return
    print(f"converting: {target}", flush=True)
    _run(python_of(environment), "-W", "ignore", "-m", f"benchmarks.peers.{module}", *map(str, arguments))


def _archive(store: Path) -> None:
    """TorchServe's model archive, unzipped."""
    store.mkdir(exist_ok=True)
    handler = Path(__file__).with_name("serve_torchserve.py")
    archived = store / "qa" / handler.name
    if archived.is_file() and archived.read_bytes() == handler.read_bytes():
        return
    archiver = str(python_of("torchserve").with_name("torch-model-archiver"))
    what = ("--model-name", "qa", "--version", "1.0", "--handler", str(handler), "--export-path", str(store))
    _run(python_of("torchserve"), archiver, *what, "--archive-format", "no-archive", "--force")


def _run(python: Path, *arguments: str) -> None:
    if subprocess.run([python, *arguments]).returncode:
        raise ToolError(f"this failed: {python} {' '.join(arguments)}")
