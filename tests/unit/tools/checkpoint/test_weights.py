"""Weights that the model would not use, or cannot use, are refused with the way out."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.unit.tools.checkpoint.checkpoints import Weights, change_config, change_weights, write_checkpoint
from tools.checkpoint.checkpoint import open_checkpoint
from tools.errors import ToolError

QUERY = "bert.encoder.layer.0.attention.self.query"


def refusal_of(checkpoint: Path) -> str:
    with pytest.raises(ToolError) as refused:
        open_checkpoint(str(checkpoint)).load_model()
    message = str(refused.value)
    assert str(checkpoint) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (
            lambda weights: {**weights, f"{QUERY}.lora_A.default.weight": torch.zeros(4, 64)},
            ("an adapter that is not merged, such as", "merge_and_unload"),
        ),
        (
            lambda weights: {name.replace("query.weight", "query.base_layer.weight"): w for name, w in weights.items()},
            ("an adapter that is not merged, such as", "merge_and_unload"),
        ),
        (
            lambda weights: {f"base_model.model.{name}": each for name, each in weights.items()},
            ("begin with base_model.model., because", "Save the model inside of the wrapper"),
        ),
        (
            lambda weights: {f"module.{name}": each for name, each in weights.items()},
            ("begin with module., because", "Save the model inside of the wrapper"),
        ),
        (
            lambda weights: {**weights, "bert.encoder.layer.0.crossattention.self.key.weight": torch.zeros(64, 64)},
            ("weights that the model of its config.json does not use, such as bert.encoder.layer.0.crossattention",),
        ),
        (
            lambda weights: {**weights, "qa_outputs.scale": torch.zeros(2)},
            ("weights that the model of its config.json does not use, such as qa_outputs.scale",),
        ),
        (
            lambda weights: {**weights, f"{QUERY}.weight": torch.zeros(64, 64, dtype=torch.int8)},
            (f"its weight {QUERY}.weight is stored as I8, so another library has quantized it",),
        ),
        (
            lambda weights: {**weights, "qa_outputs.weight": torch.zeros(4, 64), "qa_outputs.bias": torch.zeros(4)},
            ("size mismatch for bias",),
        ),
    ],
)
def test_weights_of_another_model_are_refused(
    tmp_path: Path, change: Callable[[Weights], Weights], reasons: tuple[str, ...]
) -> None:
    checkpoint = write_checkpoint(tmp_path, "bert")
    change_weights(checkpoint, change)
    message = refusal_of(checkpoint)
    for reason in reasons:
        assert reason in message


def test_a_configuration_with_fewer_layers_than_the_weights_is_refused(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path, "bert")
    change_config(checkpoint, {"num_hidden_layers": 1})
    assert "such as bert.encoder.layer.1." in (message := refusal_of(checkpoint))
    assert "num_hidden_layers" in message


def test_the_pooler_other_heads_and_positions_may_be_there(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path, "bert")
    others = {
        "bert.pooler.dense.weight": torch.zeros(64, 64),
        "bert.embeddings.position_ids": torch.arange(512)[None],
        "cls.predictions.bias": torch.zeros(9),
        "classifier.weight": torch.zeros(3, 64),
    }
    change_weights(checkpoint, lambda weights: {**weights, **others})
    assert open_checkpoint(str(checkpoint)).load_model()


def test_an_encoder_without_span_head_can_be_trained_but_one_that_lacks_a_layer_cannot(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path, "bert")
    change_config(checkpoint, {"id2label": {"0": "a", "1": "b", "2": "c"}})
    change_weights(checkpoint, lambda w: {name: each for name, each in w.items() if not name.startswith("qa_outputs")})
    model = open_checkpoint(str(checkpoint), needs_span_head=False).load_for_training()
    assert model.qa_outputs.weight.shape == (2, 64)
    change_config(checkpoint, {"num_hidden_layers": 3})
    with pytest.raises(ToolError, match=r"lacks weights, such as bert.encoder.layer.2"):
        open_checkpoint(str(checkpoint), needs_span_head=False).load_for_training()
