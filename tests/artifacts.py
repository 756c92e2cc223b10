"""Change a copy of an artifact: its files, or its manifest."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What a manifest holds about a calibration, beside the temperature.
CALIBRATION: dict[str, Any] = {
    "log_odds_shift": 1.25,
    "data": "my-questions.json",
    "data_sha256": "0" * 64,
    "questions": 500,
    "precision": "INT8",
    "error_before": 0.1,
    "error_after": 0.03,
    "created": "2026-11-26T00:00:00+00:00",
}


def link(source: Path, target: Path) -> None:
    """Make a hard link, or a copy if the target is on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def replace(path: Path, content: bytes) -> None:
    """Replace a file that may be a hard link. Writing into the link would change the original file as well."""
    path.unlink()
    path.write_bytes(content)


def model_file(directory: Path, precision: str = "INT8") -> Path:
    """Return the file of a precision: TorchScript, or OpenVINO's graph, whose weights are in another file."""
    manifest = json.loads((directory / "manifest.json").read_text())
    return directory / str(manifest["precisions"][precision]["file"])


def edit_manifest(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Read an artifact's manifest.json, let the function change it, and write it back."""
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
