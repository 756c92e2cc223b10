"""How a model is made INT8: what a recipe is, and the names that --recipe takes."""

from dataclasses import dataclass
from typing import Any, Literal

RecipeName = Literal["static", "smoothquant", "auto"]
DEFAULT_RECIPE: RecipeName = "smoothquant"
DEFAULT_ALPHA = 0.7  # the demo model's best


@dataclass(frozen=True)
class Recipe:
    """The default is plain static quantization.

    centred: keys and values around 0 (tools.rewrites.centre).
    alpha: SmoothQuant's strength, 0 to 1; None: not smoothed.
    fp32_linears: paths of linear layers in the checkpoint's model that stay in FP32.
    """

    centred: bool = False
    alpha: float | None = None
    fp32_linears: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A short one, for tables."""
        parts = ["static" if self.alpha is None else f"smoothquant {self.alpha:g}"]
        if self.centred and self.alpha is None:
            parts.append("centred")
        if self.fp32_linears:
            parts.append(f"{len(self.fp32_linears)} in FP32")
        return ", ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "method": "static" if self.alpha is None else "smoothquant",
            "centred": self.centred,
            "alpha": self.alpha,
            "fp32_linears": list(self.fp32_linears),
        }


STATIC = Recipe()


def smoothquant(alpha: float) -> Recipe:
    """Centred and smoothed."""
    return Recipe(centred=True, alpha=alpha)
