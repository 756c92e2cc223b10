"""The search of --recipe auto: try recipes on examples that calibration has not seen, and choose one.

It takes the recipe with the least relative compute that loses at most --max-f1-drop. docs/decisions/0008 explains why
compute is counted instead of timed, and why the loss is measured in expected F1.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from model_loader.model_file import ModelFile
from serve.qa.spans import rank
from tools.checkpoint.checkpoint import Checkpoint, checkpoint_forward
from tools.errors import ToolError
from tools.local_model import Cutter, LocalModel, Logits
from tools.quantize.export.exporter import Exporter, linear_sizes
from tools.quantize.recipes import STATIC, Recipe, TriedRecipe, nearest_within, smoothquant
from tools.squad.examples import Example
from tools.squad.metric import f1, f1_v2
from tools.squad.rules import is_v2, rules_for

ALPHAS = (0.5, 0.6, 0.7, 0.8, 0.9)
FP32_COMPUTE = 4.0  # one multiply-add in FP32 counts as 4 in INT8, as on AVX-512 VNNI (docs/decisions/0008)
MAX_SHARE_IN_FP32 = 0.25  # of the linear layers; with more of them in FP32, INT8 is hardly faster than FP32
EXPECTED_F1_ANSWERS = 20

# Shows a step with its description and its number of parts; returns a function to call after each part.
ShowStep = Callable[[str, float | None], Callable[[], None]]


def _show_nothing(description: str, parts: float | None = None) -> Callable[[], None]:
    return lambda: None


class RecipeSearch:
    """One search over the recipes for one checkpoint. `tried` holds the recipes tried so far, in that order."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        exporter: Exporter,
        cutter: Cutter,
        windows: Sequence[Any],
        examples: Sequence[Example],
    ) -> None:
        """Prepare the search.

        Args:
            checkpoint: the model to quantize.
            exporter: writes each recipe's file.
            cutter: cuts examples into windows.
            windows: the tensors of the calibration windows.
            examples: the examples that were held back from calibration.
        """
        self._checkpoint = checkpoint
        self._exporter = exporter
        self._cutter = cutter
        self._windows = windows
        self._examples = examples
        self._show_step: ShowStep = _show_nothing
        self.tried: list[TriedRecipe] = []

    def best(self, max_f1_drop: float, show_step: ShowStep) -> Recipe:
        """Return the recipe with the least relative compute that loses at most max_f1_drop points of expected F1.

        If several recipes have the same relative compute, the one whose logits are nearest to FP32's is chosen.

        show_step: shows what the search does at the moment.

        Raises: ToolError if every recipe loses more.
        """
        self._show_step = show_step
        without_fp32 = [STATIC, Recipe(centred=True), *(smoothquant(alpha) for alpha in ALPHAS)]
        tried = [self._try(recipe) for recipe in without_fp32]
        if accepted := nearest_within(tried, max_f1_drop):
            return accepted.recipe
        nearest = min(tried, key=lambda one: one.rms_difference)
        for recipe in self._with_fp32(nearest.recipe):
            if self._try(recipe).f1_drop <= max_f1_drop:
                return recipe
        least = min(self.tried, key=lambda tried: tried.f1_drop)
        raise ToolError(
            f"every recipe loses more than {max_f1_drop:g} points of expected F1 on the held-back calibration "
            f"examples: the best one, {least.recipe.name}, loses {least.f1_drop:.2f}. Calibrate on more examples like "
            "your own data, raise --max-f1-drop, or serve FP32"
        )

    def _with_fp32(self, start: Recipe) -> Iterator[Recipe]:
        """Yield the recipe with 1, 2, 4, ... linear layers in FP32.

        The layers that reduce the squared logit difference most for their size come first.
        """
        squared = self._measure(start)[0] ** 2
        gains = {}
        for number, name in enumerate(self._sizes, 1):
            alone = replace(start, fp32_linears=(name,))
            left = self._measure(alone, f"sensitivity of layer {number} of {len(self._sizes)}")[0] ** 2
            gains[name] = (squared - left) / self._sizes[name]
        order = sorted(gains, key=lambda name: -gains[name])
        number = 1
        while number <= MAX_SHARE_IN_FP32 * len(order):
            yield replace(start, fp32_linears=tuple(order[:number]))
            number *= 2

    def _try(self, recipe: Recipe) -> TriedRecipe:
        rms, expected = self._measure(recipe)
        in_fp32 = sum(self._sizes[name] for name in recipe.fp32_linears) / sum(self._sizes.values())
        drop = self._reference_f1 - expected
        self.tried.append(TriedRecipe(recipe, 1 + (FP32_COMPUTE - 1) * in_fp32, rms, drop))
        return self.tried[-1]

    def _measure(self, recipe: Recipe, description: str | None = None) -> tuple[float, float]:
        """Return the root-mean-square difference from FP32's logits over the contexts, and the expected F1."""
        on_step = self._show_step(f"auto: {description or recipe.name}", len(self._windows))
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / self._exporter.file_name("INT8")
            self._exporter.export_int8(self._checkpoint, self._windows, path, recipe, on_step)
            engine = self._exporter.int8_engine
            file = ModelFile("INT8", str(path), engine, self._checkpoint.inputs, fused_groups=None)
            logits = self._logits(LocalModel(file, self._cutter).forward)
        squares = [
            np.square(ours - theirs)[window.context_offset : window.context_offset + window.context_tokens]
            for example, of_example, reference in zip(self._examples, logits, self._reference, strict=True)
            for window, pair, other in zip(self._cutter.cut(example)[1], of_example, reference, strict=True)
            for ours, theirs in zip(pair, other, strict=True)
        ]
        return float(np.sqrt(np.concatenate(squares).mean())), self._expected_f1(logits)

    def _logits(self, forward: Callable[[Any], Logits]) -> list[list[Logits]]:
        """Return the logits of all windows of each example."""
        return [[forward(window) for window in self._cutter.cut(example)[1]] for example in self._examples]

    def _expected_f1(self, logits: Sequence[Sequence[Logits]]) -> float:
        """Return the mean F1 of the 20 best answers, weighted by their scores, in percent.

        Expected F1 changes smoothly with the logits. The F1 of the best answer alone jumps when two answers are close,
        and on a few dozen examples this noise is larger than the loss to be measured.
        """
        total = 0.0
        rules = replace(rules_for(self._examples), top_k=EXPECTED_F1_ANSWERS)
        overlap = f1_v2 if is_v2(self._examples) else f1
        for example, of_example in zip(self._examples, logits, strict=True):
            document, windows = self._cutter.cut(example)
            answers = rank(example.context, document, windows, of_example, rules)
            weight = sum(answer.score for answer in answers)
            total += sum(answer.score * overlap(answer.answer, example.answers) for answer in answers) / weight
        return 100 * total / len(self._examples)

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return linear_sizes(self._checkpoint)

    @cached_property
    def _reference(self) -> list[list[Logits]]:
        return self._logits(checkpoint_forward(self._checkpoint))

    @cached_property
    def _reference_f1(self) -> float:
        return self._expected_f1(self._reference)
