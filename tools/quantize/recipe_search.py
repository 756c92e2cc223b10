"""--recipe auto: tries recipes on examples that calibration did not see, and takes the fastest within --max-f1-drop.

docs/decisions/0008 tells why cost is counted and not timed, and why the loss is the expected F1's.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from model_loader.model_file import ModelFile
from serve.qa.spans import SpanRules, rank
from tools.checkpoint import checkpoint_forward
from tools.errors import ToolError
from tools.local_model import Cutter, LocalModel, Logits
from tools.quantize.recipes import STATIC, Recipe, smoothquant
from tools.squad.examples import Example
from tools.squad.metric import f1

if TYPE_CHECKING:
    from tools.checkpoint import Checkpoint

HELD_BACK = 4  # each so-manieth context is for the search, the others for calibration
ALPHAS = (0.5, 0.6, 0.7, 0.8, 0.9)
FP32_COST = 4.0  # of a multiply-add against INT8's, measured on AVX-512 VNNI
MOST_IN_FP32 = 0.25  # of the linear layers: beyond it INT8 is hardly worth its loss
RULES = SpanRules(top_k=20, max_answer_len=30, handle_impossible_answer=False, align_to_words=False)

Show = Callable[[str, float | None], Callable[[], None]]  # what is done, its steps -> what marks one as done


@dataclass(frozen=True)
class Tried:
    """A recipe and what it showed on the held-back examples. cost: of its linear layers against all in INT8."""

    recipe: Recipe
    cost: float
    rms_difference: float
    f1_drop: float

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        shown = {"cost": self.cost, "rms_difference": self.rms_difference, "f1_drop": self.f1_drop}
        return {**self.recipe.as_json(), **{name: round(value, 6) for name, value in shown.items()}}


def table(tried: Sequence[Tried], chosen: Recipe | None, examples: int) -> Table:
    """What was tried, in that order."""
    made = Table(title=f"recipes, on {examples} held-back calibration examples", title_justify="left")
    for column in ("recipe", "cost", "logit rms", "expected F1 lost"):
        made.add_column(column, justify="left" if column == "recipe" else "right")
    for one in tried:
        mark = " <-" if one.recipe == chosen else ""
        made.add_row(one.recipe.name + mark, f"{one.cost:.2f}", f"{one.rms_difference:.4f}", f"{one.f1_drop:+.2f}")
    return made


def split(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Those for calibration, and those for the search. Neighbours share a context, so whole contexts are held back."""
    contexts = list(dict.fromkeys(example.context for example in examples))
    held_back = set(contexts[::HELD_BACK])
    return (
        [example for example in examples if example.context not in held_back],
        [example for example in examples if example.context in held_back],
    )


class Search:
    """One search."""

    def __init__(
        self,
        checkpoint: "Checkpoint",
        cutter: Cutter,
        windows: Sequence[Any],
        examples: Sequence[Example],
        show: Show,
    ) -> None:
        """windows: for calibration, tensors. examples: held back from it."""
        self._checkpoint = checkpoint
        self._cutter = cutter
        self._windows = windows
        self._examples = examples
        self._show = show
        self.tried: list[Tried] = []

    def best(self, max_f1_drop: float) -> Recipe:
        """The recipe of least cost whose loss stays inside the bound, and of least logit difference among these.

        Raises: ToolError where none is inside.
        """
        without_fp32 = [STATIC, Recipe(centred=True), *(smoothquant(alpha) for alpha in ALPHAS)]
        best = min((self._try(recipe) for recipe in without_fp32), key=lambda tried: tried.rms_difference)
        if best.f1_drop <= max_f1_drop:
            return best.recipe
        for recipe in self._with_fp32(best.recipe):
            if self._try(recipe).f1_drop <= max_f1_drop:
                return recipe
        least = min(self.tried, key=lambda tried: tried.f1_drop)
        raise ToolError(
            f"no recipe loses at most {max_f1_drop:g} points of expected F1 on the held-back calibration examples: "
            f"the best, {least.recipe.name}, loses {least.f1_drop:.2f}. Calibrate on more examples like your own "
            "data, raise --max-f1-drop, or serve FP32"
        )

    def _with_fp32(self, start: Recipe) -> Iterator[Recipe]:
        """With 1, 2, 4, ... linear layers in FP32, first those that take off most squared difference for their cost."""
        base = self._measure(start)[0] ** 2
        gains = {}
        for number, name in enumerate(self._sizes, 1):
            alone = Recipe(start.centred, start.alpha, (name,))
            left = self._measure(alone, f"sensitivity of layer {number} of {len(self._sizes)}")[0] ** 2
            gains[name] = (base - left) / self._sizes[name]
        order = sorted(gains, key=lambda name: -gains[name])
        number = 1
        while number <= MOST_IN_FP32 * len(order):
            yield Recipe(start.centred, start.alpha, tuple(order[:number]))
            number *= 2

    def _try(self, recipe: Recipe) -> Tried:
        rms, expected = self._measure(recipe)
        in_fp32 = sum(self._sizes[name] for name in recipe.fp32_linears) / sum(self._sizes.values())
        drop = self._reference_f1 - expected
        self.tried.append(Tried(recipe, 1 + (FP32_COST - 1) * in_fp32, rms, drop))
        return self.tried[-1]

    def _measure(self, recipe: Recipe, what: str | None = None) -> tuple[float, float]:
        """Root-mean-square difference to FP32's logits over the contexts, and the expected F1."""
        from tools.quantize import export

        advance = self._show(f"auto: {what or recipe.name}", len(self._windows))
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "model.pt"
            export.export_int8(self._checkpoint, self._windows, path, recipe, advance)
            file = ModelFile("INT8", str(path), "ipex-torchscript", self._checkpoint.inputs, fused_groups=None)
            forward = LocalModel(file, self._cutter).forward
            found = [[forward(window) for window in self._cutter.cut(example)[1]] for example in self._examples]
        squares = [
            np.square(ours - theirs)[window.context_offset : window.context_offset + window.context_tokens]
            for example, logits, reference in zip(self._examples, found, self._reference, strict=True)
            for window, pair, other in zip(self._cutter.cut(example)[1], logits, reference, strict=True)
            for ours, theirs in zip(pair, other, strict=True)
        ]
        return float(np.sqrt(np.concatenate(squares).mean())), self._expected_f1(found)

    def _expected_f1(self, logits: Sequence[Sequence[Logits]]) -> float:
        """In percent: F1 of the 20 best answers, weighted by their scores. It moves with the logits; the best answer's
        own F1 jumps where two are near, and on some dozens of examples that noise is larger than the loss.
        """
        total = 0.0
        for example, of in zip(self._examples, logits, strict=True):
            document, windows = self._cutter.cut(example)
            answers = rank(example.context, document, windows, of, RULES)
            weight = sum(answer.score for answer in answers)
            total += sum(answer.score * f1(answer.answer, example.answers) for answer in answers) / weight
        return 100 * total / len(self._examples)

    @cached_property
    def _sizes(self) -> dict[str, int]:
        from tools.quantize import export

        return export.linear_sizes(self._checkpoint)

    @cached_property
    def _reference(self) -> list[list[Logits]]:
        forward = checkpoint_forward(self._checkpoint)
        return [[forward(window) for window in self._cutter.cut(example)[1]] for example in self._examples]

    @cached_property
    def _reference_f1(self) -> float:
        return self._expected_f1(self._reference)
