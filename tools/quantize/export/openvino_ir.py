"""Write a checkpoint as OpenVINO's intermediate representation (IR): an .xml file, and its weights in a .bin file.

INT8 is made by NNCF, the quantizer of OpenVINO's makers. BF16 is stored in FP16, which has half the size of FP32, and
three bits more than BF16. The multiplications run in BF16.
"""

import contextlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nncf
import openvino
import torch

from container.precision import Precision
from model_loader.model_file import Engine
from tools.checkpoint.architectures import Int8Support
from tools.checkpoint.checkpoint import Checkpoint
from tools.quantize.export.exporter import OnStep, rewritten_model
from tools.quantize.export.rewrites import Tensors
from tools.quantize.recipes import Recipe

NO_SMOOTHING = nncf.AdvancedSmoothQuantParameters(matmul=-1)


class OpenVINOExporter:
    """Writes IR files."""

    name = "OpenVINO"
    int8_engine: Engine = "openvino"

    def file_name(self, precision: Precision) -> str:
        """Return the name of the .xml file. The weights are beside it."""
        return f"model_{precision.lower()}.xml"

    def int8_support(self, checkpoint: Checkpoint) -> Int8Support:
        """Return static for the architectures that only IPEX cannot run in INT8."""
        support = checkpoint.architecture.int8
        return "static" if support == "none" else support

    def export(self, checkpoint: Checkpoint, precision: Precision, example: Tensors, path: Path) -> Engine:
        """Write BF16 or FP32."""
        model = _converted(checkpoint.load_model(), checkpoint, example)
        openvino.save_model(model, path, compress_to_fp16=precision == "BF16")
        return "openvino"

    def export_int8(
        self,
        checkpoint: Checkpoint,
        windows: Sequence[Tensors],
        path: Path,
        recipe: Recipe,
        on_step: OnStep,
    ) -> dict[str, object]:
        """Write static INT8. NNCF smooths outlying channels itself where the recipe does not (Exporter)."""
        model = _converted(rewritten_model(checkpoint, windows, recipe), checkpoint, windows[0])
        with contextlib.redirect_stdout(io.StringIO()):  # NNCF shows progress bars of its own
            quantized = nncf.quantize(
                model,
                nncf.Dataset(_Calibration(windows, on_step)),
                model_type=nncf.ModelType.TRANSFORMER,
                subset_size=len(windows),
                ignored_scope=nncf.IgnoredScope(
                    patterns=[_pattern(name) for name in recipe.fp32_linears], validate=False
                ),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    **({} if recipe.alpha is None else {"smooth_quant_alphas": NO_SMOOTHING})
                ),
            )
        openvino.save_model(quantized, path, compress_to_fp16=False)
        return {**recipe.as_json(), "nncf": nncf.__version__, "calibration_windows": len(windows)}


class _Calibration:
    """The calibration windows as NNCF reads them, more than once; on_step is called the first time."""

    def __init__(self, windows: Sequence[Tensors], on_step: OnStep) -> None:
        self._windows = windows
        self._on_step = on_step
        self._steps_left = len(windows)

    def __iter__(self) -> Any:
        for window in self._windows:
            yield [tensor.numpy() for tensor in window]
            if self._steps_left:
                self._steps_left -= 1
                self._on_step()


def _pattern(linear: str) -> str:
    """Return a regular expression for the operations of a linear layer, which may be inside a ScaledLinear."""
    return rf".*\b{linear.replace('.', '[.]')}([.]linear)?/aten::linear/.*"


def _converted(model: torch.nn.Module, checkpoint: Checkpoint, example: Tensors) -> Any:
    """Convert a model to OpenVINO's, with inputs of any length under the names that the server uses."""
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with torch.no_grad():
        converted = openvino.convert_model(model, example_input=example)
    for port, name in zip(converted.inputs, checkpoint.inputs, strict=True):
        port.get_tensor().set_names({name})
    return converted.clone()  # without the nodes that lead to no output, at which NNCF fails (DeBERTa has some)
