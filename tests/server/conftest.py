"""A copy of the demo artifact, and the comparison of every response with the API's description."""

import shutil
from pathlib import Path

import pytest

from tests.described_responses import responses_are_as_described

__all__ = ["responses_are_as_described"]


@pytest.fixture
def artifact_copy(demo_dir: Path, tmp_path: Path) -> Path:
    """Copy the demo artifact, so that a test can damage it."""
    return Path(shutil.copytree(demo_dir, tmp_path / "artifact"))
