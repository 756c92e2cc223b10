"""A copy of the program that says that it is another version."""

import re
import shutil
from pathlib import Path

from tools.local_server import PROGRAM_DIR

PARTS = ("container", "model_loader", "serve")


def copy_program(folder: Path, version: str) -> Path:
    """Copy what the server needs into a folder, and change the version."""
    for part in PARTS:
        shutil.copytree(PROGRAM_DIR / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROGRAM_DIR / "entrypoint.sh", folder)
    contract = folder / "container" / "contract.py"
    changed, count = re.subn(r'^VERSION = ".*?"', f'VERSION = "{version}"', contract.read_text(), flags=re.MULTILINE)
    assert count == 1
    contract.write_text(changed)
    return folder
