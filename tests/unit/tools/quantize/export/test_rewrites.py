"""The rewrites keep the logits, and shrink the ranges of the activations that INT8 rounds worst."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForQuestionAnswering

from tests.unit.tools.checkpoint.checkpoints import REWRITTEN, SIZES, inputs_of
from tools.quantize.export import rewrites


def made(model_type: str) -> tuple[torch.nn.Module, list[tuple[torch.Tensor, ...]]]:
    """Return a model with biases and with one channel of the activations far from the others, and windows for it."""
    torch.manual_seed(0)
    model = AutoModelForQuestionAnswering.from_config(AutoConfig.for_model(model_type, **SIZES[model_type])).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                module.bias.normal_()
            if isinstance(module, torch.nn.LayerNorm):
                module.weight[7] = 30
        for layer in rewrites.encoder_layers(model, model_type):
            layer.ffn_input.bias[5] = 60
    windows = [tuple(inputs_of(tokens, model_type).values()) for tokens in (12, 31)]
    return model, windows


def spread(ranges: rewrites.ActivationRanges, layer: rewrites.EncoderLayer) -> list[float]:
    """Return the range of the outlying channel divided by the median range, at both feed-forward layers' inputs."""
    magnitudes = [ranges.input_magnitude(linear) for linear in (layer.ffn_input, layer.ffn_output)]
    return [float(each.max() / each.median()) for each in magnitudes]


@pytest.mark.parametrize("model_type", REWRITTEN)
def test_rewrites_keep_the_logits_and_shrink_the_ranges(model_type: str) -> None:
    model, windows = made(model_type)
    with torch.no_grad():
        before = [torch.stack(tuple(model(*window)[:2])) for window in windows]
    layers = rewrites.encoder_layers(model, model_type)
    assert len(layers) == 2
    ranges = rewrites.observe_ranges(model, layers, windows)
    spreads = [spread(ranges, layer) for layer in layers]
    assert min(min(each) for each in spreads) > 5
    assert max(ranges.output_mean(layer.value).abs().max() for layer in layers) > 0.5

    for layer in layers:
        rewrites.centre(layer, ranges)
        rewrites.smooth(model, layer, ranges, alpha=0.7)

    with torch.no_grad():
        after = [torch.stack(tuple(model(*window)[:2])) for window in windows]
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-4)
    again = rewrites.observe_ranges(model, layers, windows)
    assert max(again.output_mean(module).abs().max() for layer in layers for module in (layer.key, layer.value)) < 1e-4
    for layer, old in zip(layers, spreads, strict=True):
        assert all(now < before / 2 for now, before in zip(spread(again, layer), old, strict=True))


def test_the_linear_layers_of_every_rewritten_architecture_have_names() -> None:
    assert set(rewrites.LINEAR_NAMES) == set(REWRITTEN)


def test_the_demo_checkpoint_has_six_layers() -> None:
    from tools.checkpoint.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(str(Path(__file__).parents[5] / "models" / "demo"))
    assert len(rewrites.encoder_layers(checkpoint.load_model(), checkpoint.model_type)) == checkpoint.layers == 6
