"""Say what a directory or a repository on the hub is that cannot be loaded as a checkpoint, and what to do with it."""

import json
import re
from pathlib import Path

from transformers.utils.hub import cached_file, has_file

from tools.errors import ToolError

CONFIG = "config.json"
ADAPTER = "adapter_config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
# Weights of other libraries, and what transformers' from_pretrained needs to read them.
OTHER_WEIGHTS = {"tf_model.h5": ("TensorFlow", "from_tf"), "flax_model.msgpack": ("Flax", "from_flax")}
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")  # as huggingface_hub defines it


def check_source(source: str) -> None:
    """Refuse a directory or a repository that holds something else than a checkpoint.

    Of a repository, files are looked for but not downloaded, except for small descriptions. What cannot be known
    without a connection is not checked.

    Raises: ToolError, which says what it is and the way out. OSError if the repository does not exist.
    """
    folder = Path(source)
    if not folder.is_dir() and (folder.exists() or not HUB_ID.fullmatch(source)):
        raise ToolError(
            f"cannot load checkpoint {source}: it is neither a directory nor an id on the hub, such as NAME/MODEL"
        )
    has_config = has_file(source, CONFIG)
    has_weights = has_config and any(has_file(source, name) for name in WEIGHTS)
    if has_file(source, ADAPTER):
        raise ToolError(_adapter(source, has_weights))
    if has_weights:
        return
    if has_config:
        _check_weights(source)
    elif folder.is_dir():
        below = sorted(path.parent.relative_to(folder) for path in folder.glob("*/" + CONFIG))
        found = f"A model is in {', '.join(f'{name}/' for name in below)} below: name that folder" if below else None
        raise ToolError(
            f"{source} has no {CONFIG}, so it is not a checkpoint. "
            f"{found or 'Name the folder that save_pretrained has written'}"
        )


def _adapter(source: str, has_weights: bool) -> str:
    if has_weights:
        return (
            f"{source} is a model with an adapter (LoRA) beside it, which would be left out. Merge the adapter with "
            f"peft's merge_and_unload(), or name a copy of the model without {ADAPTER}"
        )
    return (
        f"{source} is an adapter (LoRA) without the model that it belongs to, {_base_model(source)}. Merge it with "
        "peft: AutoPeftModelForQuestionAnswering.from_pretrained(ADAPTER).merge_and_unload().save_pretrained(DIR), "
        "save the tokenizer to DIR too, and name DIR"
    )


def _check_weights(source: str) -> None:
    """Refuse a checkpoint without weights that transformers reads here.

    Raises: ToolError.
    """
    for name, (library, argument) in OTHER_WEIGHTS.items():
        if has_file(source, name):
            raise ToolError(
                f"{source} has weights of {library} only ({name}). Where {library} is installed, convert them by "
                f"AutoModelForQuestionAnswering.from_pretrained(DIR, {argument}=True).save_pretrained(DIR)"
            )
    if "transformers_weights" not in _read(source, CONFIG):  # a checkpoint may name the file of its weights
        where = "" if Path(source).is_dir() else ", as far as the hub or the local cache can be read"
        raise ToolError(
            f"{source} has a {CONFIG} but no weights that transformers finds ({WEIGHTS[0]}){where}. Copy the "
            "checkpoint again with its weights"
        )


def _base_model(source: str) -> str:
    name = _read(source, ADAPTER).get("base_model_name_or_path")
    return name if isinstance(name, str) else f"which its {ADAPTER} does not name"


def _read(source: str, name: str) -> dict[str, object]:
    """Return the content of a small JSON file; nothing if it cannot be read."""
    try:
        found = json.loads(Path(str(cached_file(source, name))).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
