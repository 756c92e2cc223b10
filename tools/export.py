"""Checkpoint -> TorchScript, traced and frozen, in FP32, BF16 and INT8. Imports IPEX; the server never does."""

from collections.abc import Callable, Sequence
from pathlib import Path

import intel_extension_for_pytorch as ipex
import torch
from intel_extension_for_pytorch.quantization import convert, prepare

from tools.checkpoint import Checkpoint

Tensors = tuple[torch.Tensor, ...]
FUSING_PASSES = 2  # pass 1 profiles, pass 2 fuses: the saved graph is the one that serving runs


def export_fp32(checkpoint: Checkpoint, example: Tensors, path: Path) -> None:
    """FP32 with IPEX's packed weights: the fastest FP32 here, but it loads only with IPEX."""
    model = ipex.optimize(checkpoint.load_model(), dtype=torch.float32, auto_kernel_selection=True)
    _trace_and_save(model, example, path)


def export_portable_fp32(checkpoint: Checkpoint, example: Tensors, path: Path) -> None:
    """FP32 as plain TorchScript: loads wherever torch does."""
    _trace_and_save(checkpoint.load_model(), example, path)


def export_bf16(checkpoint: Checkpoint, example: Tensors, path: Path) -> None:
    """BF16 weights and products, by IPEX."""
    model = ipex.optimize(checkpoint.load_model(), dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _trace_and_save(model, example, path)


def export_int8(
    checkpoint: Checkpoint, windows: Sequence[Tensors], path: Path, on_step: Callable[[], None]
) -> dict[str, object]:
    """Static INT8: activations per tensor by histogram, weights per channel; gives the recipe for the manifest.

    windows: calibration windows at their real lengths, one forward pass each.
    """
    qconfig = ipex.quantization.default_static_qconfig_mapping
    prepared = prepare(checkpoint.load_model(), qconfig, example_inputs=windows[0], inplace=True)
    with torch.no_grad():
        for window in windows:
            prepared(*window)
            on_step()
        converted = convert(prepared)
    _trace_and_save(converted, windows[0], path)
    return {"method": "static", "qconfig": "default_static_qconfig_mapping", "calibration_windows": len(windows)}


def _trace_and_save(model: torch.nn.Module, example: Tensors, path: Path) -> None:
    with torch.no_grad():
        traced = torch.jit.freeze(torch.jit.trace(model, example, strict=False))
        for _ in range(FUSING_PASSES):
            traced(*example)
    traced.save(str(path))
