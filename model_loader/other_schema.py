"""Refuse a manifest that another version of `quantize` wrote, with the command that makes the artifact again."""

import json
import shlex
from pathlib import Path
from typing import Any

from model_loader.errors import ArtifactInvalid


def refuse(path: Path, content: bytes, schema_version: int) -> None:
    """Refuse a manifest that another version of this program wrote.

    Raises: ArtifactInvalid, with the command that makes the artifact again.
    """
    try:
        found = json.loads(content)
        version = found["schema_version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return
    if type(version) is int and version != schema_version:
        age = "an older" if version < schema_version else "a newer"
        raise ArtifactInvalid(
            f"{path}: schema_version is {version}, and this version reads {schema_version}: {age} version of "
            f"`quantize` made the artifact. Make it again: {_quantize_command(path.parent, found)}"
        )


def _quantize_command(directory: Path, found: dict[str, Any]) -> str:
    """Return the command that makes an artifact again, with the options that its manifest records."""
    options: dict[str, Any] = {"model": found.get("source_model", "MODEL"), "calibration": "FILE", "output": directory}
    precisions = found.get("precisions")
    if isinstance(precisions, dict) and precisions:
        options["precisions"] = ",".join(precisions).lower()
    options |= {
        name.replace("_", "-"): found[name]
        for name in ("max_seq_len", "doc_stride")
        if isinstance(found.get(name), int)
    }
    words = (f"--{name} {shlex.quote(str(value))}" for name, value in options.items())
    return " ".join(("python -m tools.quantize", *words))
