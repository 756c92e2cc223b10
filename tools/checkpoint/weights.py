"""Which files the weights of a checkpoint are in, and whether they are those of a model that can be served."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers import AutoConfig, PretrainedConfig
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME
from transformers.utils.hub import cached_file

from tools.checkpoint.heads import TOKEN_CLASS, TOKEN_HEAD, Head
from tools.errors import ToolError

FLOATS = ("F64", "F32", "F16", "BF16")  # safetensors' names of the types that weights have unless they are quantized
# Parts of an encoder that question answering does not use: the pooler, and positions that are counted anyway.
_UNUSED = re.compile(r"(^|\.)(pooler|position_ids)(\.|$)")
_MERGE = "Merge the adapter with peft's merge_and_unload(), save the model by save_pretrained, and name that folder"


def loading_options(source: str, allow_pickle: bool) -> dict[str, Any]:
    """Return the arguments with which transformers runs no code of a checkpoint while it loads the weights.

    Only safetensors are loaded, unless allow_pickle is true. Other formats are pickles, which can run code.

    Raises: ToolError if the checkpoint has no safetensors. OSError if the hub cannot be reached.
    """
    if not allow_pickle and not _has_safetensors(source):
        raise ToolError(
            f"{source} has no weights in safetensors. Other files, such as pytorch_model.bin, are pickles, which can "
            "run code when they are loaded. Save the checkpoint again with a current transformers, which writes "
            f"{SAFE_WEIGHTS_NAME}; or, if you trust the author of the file, add --allow-pickle"
        )
    return {"use_safetensors": None if allow_pickle else True, "trust_remote_code": False}


def check_stored(source: str, config: PretrainedConfig, head: Head | None, names: set[str]) -> None:
    """Check the names and the types of a checkpoint's safetensors, without loading them. A pickle is not checked.

    head: the one that the checkpoint must have; None: it may have any. names: those of the weights, if they are known.

    Raises: ToolError.
    """
    if head is not None:
        named = config.architectures or [head.class_name]
        if head.class_name and head.class_name not in named:
            raise ToolError(
                f"{source} is not a question-answering model: its config.json names {named[0]}, whose weights have the "
                f"same names. If it was trained as {head.class_name}, or for token relevance as a class that ends with "
                f"{TOKEN_CLASS}, correct `architectures`"
            )
        if names:
            check_complete(source, set(head.weights) - names, names, head)
    path = _safetensors_path(source)
    if path and path.endswith(".safetensors"):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no dictionary
                if (stored := file.get_slice(name).get_dtype()) not in FLOATS and not _UNUSED.search(name):
                    raise ToolError(
                        f"{source}: its weight {name} is stored as {stored}, so another library has quantized it. Name "
                        "the checkpoint that it was made from"
                    )


def check_complete(source: str, missing: Collection[str], names: Collection[str], head: Head) -> None:
    """Check that a checkpoint has all weights. Of a span model they decide alone: `architectures` may be wrong.

    names: those of the weights in the checkpoint, as far as they are known. head: the one that it must have.

    Raises: ToolError.
    """
    if not missing:
        return
    weight = head.weights[0]
    if prefixed := [name for name in names if name.endswith(f".{weight}")]:
        prefix = prefixed[0].removesuffix(weight)
        raise ToolError(
            f"{source}: the names of its weights begin with {prefix}, because the model was saved together with a "
            "wrapper (peft, DataParallel or torch.compile). Save the model inside of the wrapper by save_pretrained"
        )
    if _adapters(names):
        check_used(source, names, ())
    if head.task == "question-answering" and set(missing) & set(head.weights):
        raise ToolError(
            f"{source} is not a question-answering model: its weights have no span head ({', '.join(head.weights)}). "
            "Fine-tune it on SQuAD first, such as with `python -m tools.train_demo`. A token-relevance model needs a "
            f"class that ends with {TOKEN_CLASS} in `architectures` of its config.json, and the weights "
            f"{' and '.join(TOKEN_HEAD)}"
        )
    raise ToolError(f"{source} lacks weights, such as {min(missing)}. Copy the checkpoint again")


def check_used(source: str, unexpected: Collection[str], used: tuple[str, ...]) -> None:
    """Check that the model uses all weights of the encoder and of its head. Other heads may be there.

    unexpected: the names of the weights that the model does not use. used: what the names of those that it should use
    begin with, such as "bert." and "qa_outputs.".

    Raises: ToolError.
    """
    if adapters := _adapters(unexpected):
        raise ToolError(f"{source} has weights of an adapter that is not merged, such as {min(adapters)}. {_MERGE}")
    unused = [name for name in unexpected if name.startswith(used) and not _UNUSED.search(name)]
    if unused:
        raise ToolError(
            f"{source} has weights that the model of its config.json does not use, such as {min(unused)}. Without them "
            "the model would not be the one that was trained. Correct config.json (such as num_hidden_layers), or name "
            "a checkpoint of transformers' own class"
        )


def _adapters(names: Collection[str]) -> list[str]:
    return [name for name in names if "lora_" in name or ".base_layer." in name]


def weight_names(source: str) -> set[str]:
    """Return the names of the weights in a checkpoint's safetensors; none if it has only a pickle."""
    path = _safetensors_path(source)
    if path and path.endswith(".json"):
        return set(json.loads(Path(path).read_bytes())["weight_map"])
    if not path or not path.endswith(".safetensors"):
        return set()
    with safe_open(path, framework="pt") as file:
        return set(file.keys())


def _has_safetensors(source: str) -> bool:
    """Return whether a checkpoint's weights are one safetensors file, or an index of nothing but safetensors files."""
    path = _safetensors_path(source)
    if not path:
        return False
    # transformers reads each file of an index by its suffix, so an index of safetensors can name a pickle.
    files = json.loads(Path(path).read_bytes())["weight_map"].values() if path.endswith(".json") else [path]
    return all(file.endswith(".safetensors") for file in files)


def _safetensors_path(source: str) -> str | None:
    """Return the file or the index that transformers reads the weights from, or None if there is neither."""
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    named = getattr(config, "transformers_weights", None)  # a checkpoint may name the file that transformers reads
    for name in [named] if named else [SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME]:
        path = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
        if path:
            return str(path)
    return None
