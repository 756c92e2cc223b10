"""Fixtures for tests against an AWS account on localhost."""

from pathlib import Path

import pytest


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A directory in the layout of the AWS sample. The files are small, because AWS does not look into them."""
    directory = tmp_path / "artifact"
    directory.mkdir()
    (directory / "tokenizer.json").write_text("{}")
    (directory / "model_int8.pt").write_bytes(b"int8" * 1000)
    return directory
