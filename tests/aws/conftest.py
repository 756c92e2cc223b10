"""Fixtures for tests against an AWS account on localhost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws.stacks import recorded_stacks


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A directory in the layout of the AWS sample. The files are small, because AWS does not look into them."""
    directory = tmp_path / "artifact"
    directory.mkdir()
    (directory / "tokenizer.json").write_text("{}")
    (directory / "model_int8.pt").write_bytes(b"int8" * 1000)
    return directory


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An empty account, and the properties of the resources of each new stack, with all functions resolved."""
    with recorded_stacks(monkeypatch) as seen:
        yield seen
