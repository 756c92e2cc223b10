"""Settings of a configuration: those that change the mathematics are refused, and the others give the same logits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForQuestionAnswering

from tests.unit.tools.checkpoint.checkpoints import REWRITTEN, change_config, inputs_of, write_checkpoint
from tools.checkpoint.checkpoint import open_checkpoint
from tools.errors import ToolError
from tools.quantize.export import rewrites


@pytest.mark.parametrize(
    ("change", "reason", "way_out"),
    [
        ({"position_embedding_type": "relative_key"}, "position_embedding_type relative_key", "absolute positions"),
        ({"position_embedding_type": "relative_key_query"}, "relative_key_query", "absolute positions"),
        ({"is_decoder": True}, "is_decoder True", "set this field to false"),
        ({"add_cross_attention": True}, "add_cross_attention True", "set this field to false"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantization_config gptq", "dequantize"),
        ({"auto_map": {"AutoModelForQuestionAnswering": "mine.Model"}}, "auto_map with code of its own", "remove"),
        ({"auto_map": None}, "auto_map null", "Remove this field"),
        ({"hidden_act": "gelu_of_mine"}, "hidden_act gelu_of_mine", "those that it has are gelu"),
        ({"model_type": "xlnet"}, "is a xlnet model", "known architectures are bert, electra, distilbert, roberta"),
        ({"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}, "is a mine model", "known architectures"),
    ],
)
def test_a_setting_that_changes_the_mathematics_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], reason: str, way_out: str
) -> None:
    checkpoint = write_checkpoint(tmp_path, "bert")
    change_config(checkpoint, change)
    with pytest.raises(ToolError) as refused:
        open_checkpoint(str(checkpoint))
    message = str(refused.value)
    assert message.startswith(str(checkpoint))
    assert reason in message
    assert way_out in message
    assert "\n" not in message
    assert "trust_remote_code" not in message


def rewritten_logits(checkpoint: Path, model_type: str, windows: list[tuple[torch.Tensor, ...]]) -> list[Any]:
    model = open_checkpoint(str(checkpoint)).load_model()
    layers = rewrites.encoder_layers(model, model_type)
    ranges = rewrites.observe_ranges(model, layers, windows)
    for layer in layers:
        rewrites.centre(layer, ranges)
        rewrites.smooth(model, layer, ranges, alpha=0.7)
    with torch.no_grad():
        return [torch.stack(model(*window)) for window in windows]


@pytest.mark.parametrize(
    ("model_type", "settings"),
    [
        *[(model_type, {}) for model_type in REWRITTEN],
        *[(model_type, {"pruned_heads": {0: [1, 2]}}) for model_type in REWRITTEN],
        *[(model_type, {"output_hidden_states": True, "output_attentions": True}) for model_type in REWRITTEN],
        *[(model_type, {"torchscript": True, "num_labels": 3}) for model_type in ("bert", "electra")],
        *[("bert", {"hidden_act": activation}) for activation in ("relu", "silu", "gelu_new", "tanh")],
        ("bert", {"layer_norm_eps": 1e-3, "type_vocab_size": 3, "pad_token_id": 5}),
        ("bert", {"is_encoder_decoder": True, "use_cache": False}),
        ("electra", {"embedding_size": 64, "hidden_act": "relu"}),
        ("distilbert", {"sinusoidal_pos_embds": True, "activation": "relu"}),
        ("roberta", {"type_vocab_size": 2, "pad_token_id": 0, "max_position_embeddings": 40}),
    ],
)
def test_the_rewritten_model_of_every_other_setting_has_the_logits_of_transformers(
    tmp_path: Path, model_type: str, settings: dict[str, Any]
) -> None:
    labels = {"num_labels": 2}
    checkpoint = write_checkpoint(tmp_path, model_type, **{**settings, **labels})
    change_config(checkpoint, {"id2label": {"0": "a", "1": "b", "2": "c"}} if "num_labels" in settings else {})
    theirs = AutoModelForQuestionAnswering.from_pretrained(checkpoint, dtype=torch.float32, **labels).eval()
    given = [inputs_of(tokens, model_type) for tokens in (12, 31)]
    with torch.no_grad():
        expected = [torch.stack(tuple(theirs(**one, return_dict=False)[:2])) for one in given]
    ours = rewritten_logits(checkpoint, model_type, [tuple(one.values()) for one in given])
    for each, reference in zip(ours, expected, strict=True):
        assert reference.std() > 0.2
        torch.testing.assert_close(each, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model_type", REWRITTEN)
def test_a_feed_forward_block_in_chunks_is_run_as_a_whole(tmp_path: Path, model_type: str) -> None:
    # chunks give the same logits, but transformers refuses each window whose length is not a multiple of their size
    checkpoint = write_checkpoint(tmp_path, model_type)
    window = tuple(inputs_of(31, model_type).values())
    (whole,) = rewritten_logits(checkpoint, model_type, [window])
    change_config(checkpoint, {"chunk_size_feed_forward": 7})
    (chunked,) = rewritten_logits(checkpoint, model_type, [window])
    torch.testing.assert_close(chunked, whole)


@pytest.mark.parametrize("model_type", ["deberta-v2", "modernbert"])
@pytest.mark.parametrize("tokens", [12, 90])
def test_an_architecture_without_rewrites_has_the_logits_of_transformers(
    tmp_path: Path, model_type: str, tokens: int
) -> None:
    checkpoint = write_checkpoint(tmp_path, model_type)
    theirs = AutoModelForQuestionAnswering.from_pretrained(checkpoint, dtype=torch.float32).eval()
    window = inputs_of(tokens, model_type)
    with torch.no_grad():
        expected = torch.stack(tuple(theirs(**window, return_dict=False)[:2]))
        ours = torch.stack(open_checkpoint(str(checkpoint)).load_model()(*window.values())[:2])
    assert expected.std() > 0.2
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_a_model_that_counts_positions_after_the_padding_needs_its_id(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path, "roberta")
    change_config(checkpoint, {"pad_token_id": None})
    with pytest.raises(ToolError, match="has no pad_token_id, from which roberta models count positions"):
        open_checkpoint(str(checkpoint))


def test_the_longest_window_leaves_out_the_positions_before_the_first_token(tmp_path: Path) -> None:
    assert open_checkpoint(str(write_checkpoint(tmp_path / "roberta", "roberta"))).max_positions == 512
    assert open_checkpoint(str(write_checkpoint(tmp_path / "bert", "bert"))).max_positions == 512


def test_the_attention_that_a_configuration_names_is_not_used(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path, "bert")
    change_config(checkpoint, {"_attn_implementation": "flash_attention_2", "attn_implementation": "flash_attention_2"})
    assert open_checkpoint(str(checkpoint)).load_model()
    assert open_checkpoint(str(checkpoint)).load_for_training()
