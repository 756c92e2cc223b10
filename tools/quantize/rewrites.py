"""Rewrites of an encoder in FP32 that leave INT8 less to round. Exact: the logits stay, but for the last bits.

Activations are quantized per tensor, so one channel far from the others costs all of them their resolution, and a value
far from 0 costs most where the softmax's small weights round to 0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

Tensors = tuple[torch.Tensor, ...]
SMALLEST = 1e-5  # of a channel's range: a dead channel has none
OTHERS = 0.99  # of the channels between the feed-forward layers are not outlying: docs/decisions/0008


@dataclass(frozen=True)
class Layer:
    """The linear layers of one encoder layer, (out, in) each."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_output: nn.Linear
    ffn_input: nn.Linear
    ffn_output: nn.Linear


NAMES = {  # of Layer's linears, in its order
    "bert": (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ),
    "distilbert": (
        "attention.q_lin",
        "attention.k_lin",
        "attention.v_lin",
        "attention.out_lin",
        "ffn.lin1",
        "ffn.lin2",
    ),
}
NAMES["electra"] = NAMES["bert"]


def layers(model: nn.Module, model_type: str) -> list[Layer]:
    """The encoder's layers, first to last. model_type: one of NAMES."""
    first = f".{NAMES[model_type][0]}"
    paths = [name.removesuffix(first) for name, _ in model.named_modules() if name.endswith(first)]
    return [Layer(*(model.get_submodule(f"{path}.{name}") for name in NAMES[model_type])) for path in paths]


class Ranges:
    """Mean and largest magnitude of each channel of the tensors that some modules take in or give out."""

    def __init__(self) -> None:
        self._sums: dict[tuple[nn.Module, str], torch.Tensor] = {}
        self._largest: dict[tuple[nn.Module, str], torch.Tensor] = {}
        self._tokens = 0

    def observe(
        self, model: nn.Module, windows: Sequence[Tensors], inputs: Iterable[nn.Module], outputs: Iterable[nn.Module]
    ) -> None:
        """Run the windows through the model."""
        handles = [
            module.register_forward_pre_hook(lambda module, given: self._add(module, "in", given[0]))
            for module in inputs
        ]
        handles += [
            module.register_forward_hook(lambda module, _, made: self._add(module, "out", made)) for module in outputs
        ]
        with torch.no_grad():
            for window in windows:
                model(*window)
                self._tokens += window[0].shape[1]
        for handle in handles:
            handle.remove()

    def mean(self, module: nn.Module) -> torch.Tensor:
        """Of its output, (C,)."""
        return self._sums[module, "out"] / self._tokens

    def largest(self, module: nn.Module) -> torch.Tensor:
        """Magnitude of its input, (C,)."""
        return self._largest[module, "in"].clamp(min=SMALLEST)

    def _add(self, module: nn.Module, side: str, tensor: torch.Tensor) -> None:
        tokens = tensor.flatten(0, -2)
        at = module, side
        self._sums[at] = self._sums.get(at, torch.zeros(tokens.shape[1])) + tokens.sum(0)
        self._largest[at] = torch.maximum(self._largest.get(at, tokens[0].abs()), tokens.abs().amax(0))


def centre(layer: Layer, ranges: Ranges) -> None:
    """Keys and values with a mean of 0 in each channel; the logits stay.

    Keys: a constant key adds the same to all scores of a query, and the softmax does not see it. Values: the weights of
    a row sum to 1, so what is taken from each value is given back by the next layer's bias. What rounding takes from
    the weights then falls on values around 0.
    """
    with torch.no_grad():
        layer.key.bias -= ranges.mean(layer.key)
        shift = ranges.mean(layer.value)
        layer.value.bias -= shift
        layer.attention_output.bias += layer.attention_output.weight @ shift


def smooth(model: nn.Module, layer: Layer, ranges: Ranges, alpha: float) -> None:
    """SmoothQuant at the inputs of attention and feed-forward: channels are divided, and the weights multiplied.

    alpha: 0 leaves the range with the activations, 1 moves all of it into the weights.
    Between the feed-forward block's two layers a handful of channels, of thousands, reach several times as far as all
    others: these alone are divided, down to where the others end.
    The division is a multiplication of its own before the linear layer: behind a LayerNorm whose output is also the
    residual it can not be folded away. It costs little; IPEX's own SmoothQuant breaks fusions (docs/recipes.md).
    Source: Xiao et al. 2023, SmoothQuant, equation 4.
    """
    for linears in ((layer.query, layer.key, layer.value), (layer.ffn_input,)):
        weights = torch.cat([linear.weight for linear in linears]).detach().abs().amax(0).clamp(min=SMALLEST)
        _divide(model, linears, ranges.largest(linears[0]) ** alpha / weights ** (1 - alpha))
    largest = ranges.largest(layer.ffn_output)
    _divide(model, (layer.ffn_output,), (largest / largest.quantile(OTHERS)).clamp(min=1))


def _divide(model: nn.Module, linears: Sequence[nn.Linear], factor: torch.Tensor) -> None:
    """The channels of an input that some linear layers share; their weights make up for it."""
    divisor = 1 / factor  # one tensor for all: the graph multiplies once
    for linear in linears:
        with torch.no_grad():
            linear.weight *= factor
        _replace(model, linear, Smoothed(linear, divisor))


class Smoothed(nn.Module):  # type: ignore[misc]
    """A linear layer whose input's channels are scaled first."""

    def __init__(self, linear: nn.Linear, scale: torch.Tensor) -> None:
        super().__init__()
        self.linear = linear
        self.register_buffer("scale", scale)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B, T, in) -> (B, T, out)."""
        result: torch.Tensor = self.linear(hidden * self.scale)
        return result


def _replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    path = next(name for name, module in model.named_modules() if module is old)
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, new)
