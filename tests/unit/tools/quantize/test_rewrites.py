"""The rewrites leave the logits as they are, and take from the activations what INT8 rounds worst."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    DistilBertConfig,
    DistilBertForQuestionAnswering,
    ElectraConfig,
    ElectraForQuestionAnswering,
)

from tools.checkpoint import INPUTS
from tools.quantize import rewrites

SMALL = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96}
MAKE: dict[str, Callable[[], torch.nn.Module]] = {
    "bert": lambda: BertForQuestionAnswering(BertConfig(**SMALL)),
    "electra": lambda: ElectraForQuestionAnswering(ElectraConfig(embedding_size=64, **SMALL)),
    "distilbert": lambda: DistilBertForQuestionAnswering(
        DistilBertConfig(dim=64, n_layers=2, n_heads=4, hidden_dim=96)
    ),
}


def made(model_type: str) -> tuple[torch.nn.Module, list[tuple[torch.Tensor, ...]]]:
    """A model whose biases are not 0 and whose activations have one channel far from the others, and windows for it."""
    torch.manual_seed(0)
    model = MAKE[model_type]().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                module.bias.normal_()
            if isinstance(module, torch.nn.LayerNorm):
                module.weight[7] = 30
        for layer in rewrites.layers(model, model_type):
            layer.ffn_input.bias[5] = 60
    windows = []
    for tokens in (12, 31):
        ids = torch.randint(1000, 2000, (1, tokens))
        tensors = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
        windows.append(tuple(tensors[name] for name in INPUTS[model_type]))
    return model, windows


def observed(
    model: torch.nn.Module, layers: list[rewrites.Layer], windows: list[tuple[torch.Tensor, ...]]
) -> rewrites.Ranges:
    ranges = rewrites.Ranges()
    inputs = [module for layer in layers for module in (layer.query, layer.ffn_input, layer.ffn_output)]
    ranges.observe(model, windows, inputs, [module for layer in layers for module in (layer.key, layer.value)])
    return ranges


def spread(ranges: rewrites.Ranges, layer: rewrites.Layer) -> list[float]:
    """How far the outlying channel reaches, by the others, at the inputs of the feed-forward layers."""
    of = [ranges.largest(linear) for linear in (layer.ffn_input, layer.ffn_output)]
    return [float(each.max() / each.median()) for each in of]


@pytest.mark.parametrize("model_type", list(INPUTS))
def test_the_logits_stay_and_the_ranges_shrink(model_type: str) -> None:
    model, windows = made(model_type)
    with torch.no_grad():
        before = [torch.stack(tuple(model(*window)[:2])) for window in windows]
    layers = rewrites.layers(model, model_type)
    assert len(layers) == 2
    ranges = observed(model, layers, windows)
    spreads = [spread(ranges, layer) for layer in layers]
    assert min(min(each) for each in spreads) > 5
    assert max(ranges.mean(layer.value).abs().max() for layer in layers) > 0.5

    for layer in layers:
        rewrites.centre(layer, ranges)
        rewrites.smooth(model, layer, ranges, alpha=0.7)

    with torch.no_grad():
        after = [torch.stack(tuple(model(*window)[:2])) for window in windows]
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-4)
    again = observed(model, layers, windows)
    assert max(again.mean(module).abs().max() for layer in layers for module in (layer.key, layer.value)) < 1e-4
    for layer, old in zip(layers, spreads, strict=True):
        assert all(now < before / 2 for now, before in zip(spread(again, layer), old, strict=True))


def test_every_known_architecture_has_its_linears_named() -> None:
    assert set(rewrites.NAMES) == set(INPUTS)


def test_the_demo_checkpoint_has_six_layers() -> None:
    from tools.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(str(Path(__file__).parents[4] / "models" / "demo"))
    assert len(rewrites.layers(checkpoint.load_model(), checkpoint.model_type)) == checkpoint.layers == 6
