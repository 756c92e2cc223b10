"""Write a checkpoint as TorchScript, traced and frozen, in FP32, BF16 or INT8, for the kernels of IPEX.

This module imports the Python package of IPEX, which the server never does.
"""

import json
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import intel_extension_for_pytorch as ipex
import torch
from intel_extension_for_pytorch.quantization import convert, prepare

from container.precision import Precision
from model_loader import artifact
from model_loader.model_file import Engine
from tools.checkpoint.architectures import Int8Support
from tools.checkpoint.checkpoint import Checkpoint
from tools.quantize.export.exporter import OnStep, rewritten_model
from tools.quantize.export.rewrites import Tensors
from tools.quantize.recipes import Recipe

FUSING_PASSES = 2  # the first pass profiles the graph, the second fuses it; so the saved graph is the one to be served


class IpexExporter:
    """Writes TorchScript files. has_portable_fp32: whether FP32 is to load without IPEX, wherever torch does."""

    name = "IPEX"
    int8_engine: Engine = "ipex-torchscript"

    def __init__(self, *, has_portable_fp32: bool) -> None:
        self._has_portable_fp32 = has_portable_fp32

    def file_name(self, precision: Precision) -> str:
        """Return the name that a file has in the layout of the AWS sample too."""
        return artifact.SAMPLE_FILES[precision]

    def int8_support(self, checkpoint: Checkpoint) -> Int8Support:
        """Return what is known of the architecture."""
        return checkpoint.architecture.int8

    def export(self, checkpoint: Checkpoint, precision: Precision, example: Tensors, path: Path) -> Engine:
        """Write BF16, both weights and products; or FP32 with weights that IPEX has packed, which is the fastest."""
        if precision == "BF16":
            model = ipex.optimize(checkpoint.load_model(), dtype=torch.bfloat16)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                _trace_and_save(model, example, path)
            return "ipex-torchscript"
        if self._has_portable_fp32:
            _trace_and_save(checkpoint.load_model(), example, path)
            return "torchscript"
        model = ipex.optimize(checkpoint.load_model(), dtype=torch.float32, auto_kernel_selection=True)
        _trace_and_save(model, example, path)
        return "ipex-torchscript"

    def export_int8(
        self,
        checkpoint: Checkpoint,
        windows: Sequence[Tensors],
        path: Path,
        recipe: Recipe,
        on_step: OnStep,
    ) -> dict[str, object]:
        """Write static INT8, with the scales of activations by histogram (Exporter)."""
        model = rewritten_model(checkpoint, windows, recipe)
        qconfig = ipex.quantization.default_static_qconfig_mapping
        prepared = prepare(model, qconfig, example_inputs=windows[0], inplace=True)
        with torch.no_grad():
            for window in windows:
                prepared(*window)
                on_step()
            if recipe.fp32_linears:
                _keep_in_fp32(prepared, recipe.fp32_linears)
            converted = convert(prepared)
        _trace_and_save(converted, windows[0], path)
        return {**recipe.as_json(), "qconfig": "default_static_qconfig_mapping", "calibration_windows": len(windows)}


def _keep_in_fp32(prepared: torch.nn.Module, linears: Collection[str]) -> None:
    """Exclude linear layers from quantization, by editing the summary that IPEX writes of it and reads back."""
    kept = {name for linear in linears for name in (linear, f"{linear}.linear")}  # the second is inside a ScaledLinear
    with tempfile.TemporaryDirectory() as directory:
        summary = Path(directory) / "summary.json"
        prepared.save_qconf_summary(str(summary))
        content = json.loads(summary.read_text())
        for module in content.values():
            for operator in module["q_op_infos"].values():
                if operator["fqn"] in kept and "Linear" in operator["op_type"]:
                    for tensor in operator["input_tensor_infos"] + operator["weight_tensor_infos"]:
                        tensor["inf_dtype"] = tensor["force_dtype"] = "torch.float32"
        summary.write_text(json.dumps(content))
        prepared.load_qconf_summary(str(summary))


def _trace_and_save(model: torch.nn.Module, example: Tensors, path: Path) -> None:
    with torch.no_grad():
        traced = torch.jit.freeze(torch.jit.trace(model, example, strict=False))
        for _ in range(FUSING_PASSES):
            traced(*example)
    traced.save(str(path))
