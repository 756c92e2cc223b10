"""Small checkpoints with random weights, and changes of their files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForQuestionAnswering

from tools.checkpoint.architectures import ARCHITECTURES

Weights = dict[str, torch.Tensor]

SIZES: dict[str, dict[str, Any]] = {
    "bert": {
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "intermediate_size": 96,
        "vocab_size": 2000,
    },
    "distilbert": {"n_layers": 2, "dim": 64, "n_heads": 4, "hidden_dim": 96, "vocab_size": 2000},
}
SIZES["electra"] = {**SIZES["bert"], "embedding_size": 32}
SIZES |= dict.fromkeys(
    ("roberta", "xlm-roberta", "camembert"),
    {**SIZES["bert"], "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1},
)
# As the checkpoints of DeBERTa-v3 have it.
SIZES["deberta-v2"] = {
    **SIZES["bert"],
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
SIZES["modernbert"] = {
    **SIZES["bert"],
    "num_hidden_layers": 4,
    "local_attention": 16,
    **{name: 0 for name in ("pad_token_id", "cls_token_id", "sep_token_id", "bos_token_id", "eos_token_id")},
}
REWRITTEN = [name for name, architecture in ARCHITECTURES.items() if architecture.int8 == "rewritten"]


def write_checkpoint(
    directory: Path,
    model_type: str,
    *,
    has_biases: bool = True,
    auto_class: Any = AutoModelForQuestionAnswering,
    **settings: Any,
) -> Path:
    """Write a model of these settings, whose attention is far from uniform.

    has_biases: False leaves the biases at 0. In a model of many layers, random ones make all tokens alike. auto_class:
    chooses the head.
    """
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **{**SIZES[model_type], "initializer_range": 0.3, **settings})
    model = auto_class.from_config(config)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Linear) and module.bias is not None and has_biases:
                module.bias.normal_()
    model.save_pretrained(directory)
    return directory


def change_config(checkpoint: Path, change: dict[str, Any]) -> None:
    path = checkpoint / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


def change_weights(checkpoint: Path, change: Callable[[Weights], Weights]) -> None:
    path = checkpoint / "model.safetensors"
    save_file(change(load_file(path)), path, {"format": "pt"})


def remove_weights(checkpoint: Path, *names: str) -> None:
    change_weights(checkpoint, lambda weights: {name: one for name, one in weights.items() if name not in names})


def inputs_of(tokens: int, model_type: str = "bert") -> dict[str, torch.Tensor]:
    """Return a window as the architecture takes it."""
    ids = torch.randint(100, 2000, (1, tokens), generator=torch.Generator().manual_seed(tokens))
    types = (torch.arange(tokens) > tokens // 4).long()[None]
    window = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return {**window, "token_type_ids": types} if model_type in ("bert", "electra") else window
