"""What a recipe for INT8 is, the names that --recipe takes, and which of several tried recipes is the best."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

RecipeName = Literal["static", "smoothquant", "auto"]
DEFAULT_RECIPE: RecipeName = "smoothquant"
DEFAULT_ALPHA = 0.7  # the best strength for the demo model: docs/decisions/0008


@dataclass(frozen=True)
class Recipe:
    """How a model is quantized to INT8. The default is plain static quantization.

    Attributes:
        centred: whether keys and values are shifted to a mean of 0 (tools.quantize.export.rewrites.centre).
        alpha: SmoothQuant's strength, 0 to 1; None: the model is not smoothed.
        fp32_linears: paths of the linear layers in the checkpoint's model that stay in FP32.
    """

    centred: bool = False
    alpha: float | None = None
    fp32_linears: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A short name, for tables."""
        parts = ["static" if self.alpha is None else f"smoothquant {self.alpha:g}"]
        if self.centred and self.alpha is None:
            parts.append("centred")
        if self.fp32_linears:
            parts.append(f"{len(self.fp32_linears)} in FP32")
        return ", ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Return the recipe as the manifest stores it."""
        return {
            "method": "static" if self.alpha is None else "smoothquant",
            "centred": self.centred,
            "alpha": self.alpha,
            "fp32_linears": list(self.fp32_linears),
        }


STATIC = Recipe()


def smoothquant(alpha: float) -> Recipe:
    """Return the recipe that centres keys and values, and smooths outlying channels."""
    return Recipe(centred=True, alpha=alpha)


@dataclass(frozen=True)
class TriedRecipe:
    """A recipe, and its figures on the held-back examples.

    Attributes:
        recipe: what was tried.
        relative_compute: the compute of the linear layers, divided by their compute if all of them are in INT8.
        rms_difference: the root-mean-square difference from FP32's logits over the contexts.
        f1_drop: the loss of expected F1 against FP32, in points.
    """

    recipe: Recipe
    relative_compute: float
    rms_difference: float
    f1_drop: float

    def as_json(self) -> dict[str, Any]:
        """Return recipe and figures as the manifest stores them."""
        figures = {
            "relative_compute": self.relative_compute,
            "rms_difference": self.rms_difference,
            "f1_drop": self.f1_drop,
        }
        return {**self.recipe.as_json(), **{name: round(value, 6) for name, value in figures.items()}}


def nearest_within(tried: Sequence[TriedRecipe], max_f1_drop: float) -> TriedRecipe | None:
    """Return the recipe whose logits are nearest to FP32's among those that lose at most max_f1_drop, or None."""
    accepted = [one for one in tried if one.f1_drop <= max_f1_drop]
    return min(accepted, key=lambda one: one.rms_difference, default=None)
