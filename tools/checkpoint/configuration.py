"""Read the configuration of a checkpoint, and refuse what the exported model would not do as transformers does it.

The rewrites before INT8 (tools.quantize.export.rewrites) and the tensors that the server sends are right for encoders
of the known architectures. Configurations that change these are refused by name before the weights are loaded.
"""

from collections.abc import Callable, Mapping
from typing import Any

from transformers import AutoConfig, PretrainedConfig
from transformers.activations import ACT2FN

from tools.checkpoint.architectures import ARCHITECTURES
from tools.checkpoint.errors import as_tool_error
from tools.errors import ToolError

# Settings that change what the model returns beside the logits, or how it divides its work, but never the logits.
WITHOUT_EFFECT = {
    "output_hidden_states": False,
    "output_attentions": False,
    "chunk_size_feed_forward": 0,
    "torchscript": False,
    "reference_compile": False,  # ModernBERT's, of torch.compile
}


def read_configuration(source: str) -> PretrainedConfig:
    """Read the configuration of a checkpoint, and replace the settings that do not change the logits.

    Raises: ToolError if it cannot be read, is of an unknown architecture, or has a setting that is refused.
    """
    with as_tool_error(source):
        found, _ = PretrainedConfig.get_config_dict(source)
        _check(source, found)
        config = _without_list_of_models(source)
    _check_architecture(source, config.model_type)
    if ARCHITECTURES[config.model_type].positions_after_padding and config.pad_token_id is None:
        raise ToolError(
            f"{source}: its config.json has no pad_token_id, from which {config.model_type} models count positions. "
            "Set it to the id of the padding token, usually 1"
        )
    for name, value in WITHOUT_EFFECT.items():
        if hasattr(config, name):
            setattr(config, name, value)
    config._attn_implementation = None  # a checkpoint may name a library that is not installed here
    if hasattr(config, "quantization_config"):  # null, which transformers does not expect
        del config.quantization_config
    return config


def _without_list_of_models(source: str) -> PretrainedConfig:
    try:
        return AutoConfig.from_pretrained(source, trust_remote_code=False)
    except ValueError as error:
        if "Should have a `model_type` key" not in str(error):
            raise
    # what transformers says here ends with the names of all models, in thousands of letters
    raise ToolError(
        f"cannot load checkpoint {source}: its config.json has no known model_type. Add the right one of "
        f"{', '.join(ARCHITECTURES)}, or name a model"
    )


def _check_architecture(source: str, model_type: str) -> None:
    if model_type not in ARCHITECTURES:
        raise ToolError(f"{source} is a {model_type} model; the known architectures are {', '.join(ARCHITECTURES)}")


def _check(source: str, found: Mapping[str, Any]) -> None:
    """Check the fields of a config.json.

    Raises: ToolError, which names the field and the way out.
    """
    if "model_type" in found:
        _check_architecture(source, found["model_type"])
    if found.get("auto_map", {}) is None:
        raise ToolError(
            f"{source}: its config.json has auto_map null, which transformers cannot read. Remove this field"
        )
    for name, default, is_right, way_out in RULES:
        value = found.get(name)
        if not is_right(default if value is None else value):
            raise ToolError(f"{source}: its config.json has {name} {_shown(value)}. {way_out}")


def _shown(value: object) -> str:
    """Return a short form of the value: of a quantization, its method."""
    if isinstance(value, dict):
        return str(value.get("quant_method", "with code of its own"))
    return str(value)


def _is_activation(name: object) -> bool:
    return isinstance(name, str) and name in ACT2FN


_ABSOLUTE = "Relative positions are not supported. Fine-tune a checkpoint with absolute positions"
_ENCODER = (
    "A decoder hides from each token the ones after it, and question answering needs an encoder. If the model was "
    "fine-tuned as an encoder, set this field to false"
)
_ACTIVATION = f"transformers has no such function; those that it has are {', '.join(sorted(ACT2FN))}"
_Rule = tuple[str, object, Callable[[Any], bool], str]
# Each field, its default, when its value is right, and the way out if it is not.
RULES: tuple[_Rule, ...] = (
    (
        "auto_map",
        {},
        lambda value: not value,
        "This code is not run, so the model could differ from transformers' own. If its weights are those of "
        "transformers' own class, remove this field",
    ),
    (
        "quantization_config",
        {},
        lambda value: not value,
        "Its weights are quantized already. Name the checkpoint that they were made from, or write FP32 weights where "
        "that library is installed, by from_pretrained(DIR).dequantize().save_pretrained(NEW)",
    ),
    ("position_embedding_type", "absolute", lambda value: value == "absolute", _ABSOLUTE),
    ("is_decoder", False, lambda value: value is False, _ENCODER),
    ("add_cross_attention", False, lambda value: value is False, _ENCODER),
    ("hidden_act", "gelu", _is_activation, _ACTIVATION),
    ("activation", "gelu", _is_activation, _ACTIVATION),
    ("hidden_activation", "gelu", _is_activation, _ACTIVATION),
)
