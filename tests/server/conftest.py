"""A copy of the demo artifact."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def artifact_copy(demo_dir: Path, tmp_path: Path) -> Path:
    """Copy the demo artifact, so that a test can damage it."""
    return Path(shutil.copytree(demo_dir, tmp_path / "artifact"))
