"""What `quantize` needs of an engine: to write a checkpoint as a file in each precision."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch

from container.precision import Precision
from model_loader.model_file import Engine
from tools.checkpoint.architectures import Int8Support
from tools.checkpoint.checkpoint import Checkpoint
from tools.quantize.export import rewrites
from tools.quantize.export.rewrites import Tensors
from tools.quantize.recipes import Recipe

OnStep = Callable[[], None]  # called after each calibration window


class Exporter(Protocol):
    """Writes the files of one engine.

    name: the engine in messages. int8_engine: the engine of an INT8 file.
    """

    name: str
    int8_engine: Engine

    def file_name(self, precision: Precision) -> str:
        """Return the name of the file of a precision in an artifact."""

    def int8_support(self, checkpoint: Checkpoint) -> Int8Support:
        """Return whether the engine runs this checkpoint's class in INT8, and whether the rewrites before it work."""

    def export(self, checkpoint: Checkpoint, precision: Precision, example: Tensors, path: Path) -> Engine:
        """Write BF16 or FP32. example: the tensors of one window. Returns the engine of the file."""

    def export_int8(
        self,
        checkpoint: Checkpoint,
        windows: Sequence[Tensors],
        path: Path,
        recipe: Recipe,
        on_step: OnStep,
    ) -> dict[str, object]:
        """Write static INT8: one scale for a tensor of activations, and one for each channel of the weights.

        Args:
            checkpoint: the model to quantize.
            windows: the calibration windows, unpadded. Each takes a forward pass, or two if the recipe rewrites the
                model.
            path: the file to write.
            recipe: how to quantize.
            on_step: called after each calibration window.

        Returns: the recipe as the manifest stores it.
        """


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
