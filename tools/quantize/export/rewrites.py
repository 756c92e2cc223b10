"""Rewrites of an FP32 encoder that make INT8 more exact. They leave the logits unchanged, up to rounding in FP32.

A tensor of activations is quantized with one scale. One channel with a much larger range makes this scale coarse for
all channels. Values far from 0 do the most harm in attention, where small softmax weights are rounded to 0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

Tensors = tuple[torch.Tensor, ...]
MIN_RANGE = 1e-5  # stands in for the range of a dead channel, which is 0
# Between the two feed-forward layers: the quantile of the channels' ranges above which a channel is divided, and the
# strength of the division (docs/decisions/0011).
INLIER_QUANTILE = 0.95
OUTLIER_STRENGTH = 0.5


@dataclass(frozen=True)
class EncoderLayer:
    """The linear layers of one encoder layer. The weight of each is (out, in)."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_output: nn.Linear
    ffn_input: nn.Linear
    ffn_output: nn.Linear


LINEAR_NAMES = {  # the names of EncoderLayer's linear layers, in the same order, for each architecture
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
LINEAR_NAMES |= dict.fromkeys(("electra", "roberta", "xlm-roberta", "camembert"), LINEAR_NAMES["bert"])


def encoder_layers(model: nn.Module, model_type: str) -> list[EncoderLayer]:
    """Return the encoder's layers, first to last. model_type is a key of LINEAR_NAMES."""
    names = LINEAR_NAMES[model_type]
    first = f".{names[0]}"
    paths = [name.removesuffix(first) for name, _ in model.named_modules() if name.endswith(first)]
    return [EncoderLayer(*(model.get_submodule(f"{path}.{name}") for name in names)) for path in paths]


class ActivationRanges:
    """Mean and largest magnitude of each channel of the tensors that some modules take in or give out."""

    def __init__(self) -> None:
        self._sums: dict[tuple[nn.Module, str], torch.Tensor] = {}
        self._largest: dict[tuple[nn.Module, str], torch.Tensor] = {}
        self._tokens = 0

    def observe(
        self, model: nn.Module, windows: Sequence[Tensors], inputs: Iterable[nn.Module], outputs: Iterable[nn.Module]
    ) -> None:
        """Run the windows through the model; record the inputs of some modules and the outputs of others."""
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

    def output_mean(self, module: nn.Module) -> torch.Tensor:
        """Return the mean of each channel of the module's output, (C,)."""
        return self._sums[module, "out"] / self._tokens

    def input_magnitude(self, module: nn.Module) -> torch.Tensor:
        """Return the largest magnitude of each channel of the module's input, (C,)."""
        return self._largest[module, "in"].clamp(min=MIN_RANGE)

    def _add(self, module: nn.Module, side: str, tensor: torch.Tensor) -> None:
        tokens = tensor.flatten(0, -2)  # (B * T, C)
        at = module, side
        self._sums[at] = self._sums.get(at, torch.zeros(tokens.shape[1])) + tokens.sum(0)
        self._largest[at] = torch.maximum(self._largest.get(at, tokens[0].abs()), tokens.abs().amax(0))


def observe_ranges(model: nn.Module, layers: Sequence[EncoderLayer], windows: Sequence[Tensors]) -> ActivationRanges:
    """Run the windows through the model and return the ranges that `centre` and `smooth` need."""
    ranges = ActivationRanges()
    inputs = [module for layer in layers for module in (layer.query, layer.ffn_input, layer.ffn_output)]
    outputs = [module for layer in layers for module in (layer.key, layer.value)]
    ranges.observe(model, windows, inputs, outputs)
    return ranges


def centre(layer: EncoderLayer, ranges: ActivationRanges) -> None:
    """Shift keys and values so that each channel has a mean of 0.

    The logits stay the same. A constant part of the keys adds the same number to all scores of a query, which the
    softmax ignores. A constant part of the values passes through the attention unchanged, since the weights of a row
    sum to 1, so the bias of the next linear layer can restore it. Around 0, a rounding error in the attention weights
    does the least harm.
    """
    with torch.no_grad():
        layer.key.bias -= ranges.output_mean(layer.key)
        shift = ranges.output_mean(layer.value)
        layer.value.bias -= shift
        layer.attention_output.bias += layer.attention_output.weight @ shift


def smooth(model: nn.Module, layer: EncoderLayer, ranges: ActivationRanges, alpha: float) -> None:
    """Apply SmoothQuant at the inputs of attention and feed-forward: divide channels, and multiply the weights.

    alpha: 0 leaves the range in the activations, 1 moves all of it into the weights.

    Between the two layers of the feed-forward block, a handful of the thousands of channels have a range several times
    as large as all other channels. Only these channels are divided, down to the range of the others.

    The division is a separate multiplication before the linear layer. It cannot be merged into the preceding LayerNorm,
    because the residual connection uses the same output. The multiplication takes little time, while IPEX's own
    SmoothQuant breaks fusions (docs/decisions/0008).

    Source: Xiao et al. 2023, SmoothQuant, equation 4.
    """
    for linears in ((layer.query, layer.key, layer.value), (layer.ffn_input,)):
        weights = torch.cat([linear.weight for linear in linears]).detach().abs().amax(0).clamp(min=MIN_RANGE)
        factor = ranges.input_magnitude(linears[0]) ** alpha / weights ** (1 - alpha)
        _divide_input_channels(model, linears, factor)
    largest = ranges.input_magnitude(layer.ffn_output)
    factor = (largest / largest.quantile(INLIER_QUANTILE)).clamp(min=1) ** OUTLIER_STRENGTH
    _divide_input_channels(model, (layer.ffn_output,), factor)


def _divide_input_channels(model: nn.Module, linears: Sequence[nn.Linear], factor: torch.Tensor) -> None:
    """Divide the channels of an input that some linear layers share, and multiply their weights by the same factor."""
    scale = 1 / factor  # all layers share this tensor, so that the graph multiplies only once
    for linear in linears:
        with torch.no_grad():
            linear.weight *= factor
        _replace(model, linear, ScaledLinear(linear, scale))


class ScaledLinear(nn.Module):  # type: ignore[misc]
    """A linear layer that first multiplies each channel of its input by a scale."""

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
