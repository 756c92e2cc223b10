"""Write a checkpoint as TorchScript, traced and frozen, in FP32, BF16 or INT8.

This module imports the Python package of IPEX, which the server never does.
"""

import json
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import intel_extension_for_pytorch as ipex
import torch
from intel_extension_for_pytorch.quantization import convert, prepare

from tools.checkpoint.checkpoint import Checkpoint
from tools.quantize import rewrites
from tools.quantize.recipes import Recipe
from tools.quantize.rewrites import Tensors

FUSING_PASSES = 2  # the first pass profiles the graph, the second fuses it; so the saved graph is the one to be served


def export_fp32(checkpoint: Checkpoint, example: Tensors, path: Path) -> None:
    """Write FP32 with weights that IPEX has packed: the fastest FP32, but it needs IPEX to load."""
    model = ipex.optimize(checkpoint.load_model(), dtype=torch.float32, auto_kernel_selection=True)
    _trace_and_save(model, example, path)


def export_portable_fp32(checkpoint: Checkpoint, example: Tensors, path: Path) -> None:
    """Write FP32 as plain TorchScript, which loads wherever torch does."""
    _trace_and_save(checkpoint.load_model(), example, path)


def export_bf16(checkpoint: Checkpoint, example: Tensors, path: Path) -> None:
    """Write BF16, both weights and products, with IPEX."""
    model = ipex.optimize(checkpoint.load_model(), dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _trace_and_save(model, example, path)


def export_int8(
    checkpoint: Checkpoint, windows: Sequence[Tensors], path: Path, recipe: Recipe, on_step: Callable[[], None]
) -> dict[str, object]:
    """Write static INT8: one scale for a tensor of activations, by histogram; one for each channel of the weights.

    Args:
        checkpoint: the model to quantize.
        windows: the calibration windows, unpadded. Each takes a forward pass, or two if the recipe rewrites the model.
        path: the file to write.
        recipe: how to quantize.
        on_step: called after each calibration window.

    Returns: the recipe as the manifest stores it.
    """
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


def linear_sizes(checkpoint: Checkpoint) -> dict[str, int]:
    """Return the path of each linear layer in the checkpoint's model, with its multiply-adds for one token."""
    modules = checkpoint.load_model().named_modules()
    return {name: module.weight.numel() for name, module in modules if isinstance(module, torch.nn.Linear)}


def rewritten_model(checkpoint: Checkpoint, windows: Sequence[Tensors], recipe: Recipe) -> torch.nn.Module:
    """Load the model in FP32, and rewrite it as the recipe says. windows: those that show the activations' ranges."""
    model = checkpoint.load_model()
    if not recipe.centred and recipe.alpha is None:
        return model
    layers = rewrites.encoder_layers(model, checkpoint.model_type)
    ranges = rewrites.observe_ranges(model, layers, windows)
    for layer in layers:
        if recipe.centred:
            rewrites.centre(layer, ranges)
        if recipe.alpha is not None:
            rewrites.smooth(model, layer, ranges, recipe.alpha)
    return model


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
