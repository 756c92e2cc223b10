"""A copy of the demo artifact."""

import shutil
from pathlib import Path

import pytest

from tests.artifacts import link


@pytest.fixture
def artifact_copy(demo_dir: Path, tmp_path: Path) -> Path:
    """Copy the demo artifact. Its model files are hard links: use replace() instead of writing into them."""
    directory = tmp_path / "model"
    directory.mkdir()
    for file in demo_dir.iterdir():
        if file.suffix == ".pt":
            link(file, directory / file.name)
        else:
            shutil.copy(file, directory)
    return directory
