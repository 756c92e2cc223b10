"""The directory to serve is chosen: the given one, or the demo model."""

from pathlib import Path

import pytest

from container import model_dir


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create the directory in which the image has its demo model."""
    directory = tmp_path / "demo"
    directory.mkdir()
    (directory / "manifest.json").write_text("{}")
    monkeypatch.setattr(model_dir, "DEMO_DIR", directory)
    return directory


def test_the_demo_is_served_if_there_is_no_model_at_the_default(demo: Path, tmp_path: Path) -> None:
    assert model_dir.choose(tmp_path / "nothing", is_default=True) == demo
    empty = tmp_path / "empty"
    empty.mkdir()
    assert model_dir.choose(empty, is_default=True) == demo


def test_a_directory_that_is_named_or_has_content_is_never_replaced(demo: Path, tmp_path: Path) -> None:
    assert model_dir.choose(tmp_path / "nothing", is_default=False) == tmp_path / "nothing"
    half = tmp_path / "half"
    half.mkdir()
    (half / "config.json").write_text("{}")
    assert model_dir.choose(half, is_default=True) == half


def test_the_default_is_kept_if_there_is_no_demo(tmp_path: Path) -> None:
    assert model_dir.choose(tmp_path / "nothing", is_default=True) == tmp_path / "nothing"


def test_a_multi_model_server_looks_at_the_platforms_folder_only_if_there_is_one(tmp_path: Path) -> None:
    assert model_dir.of_many_models(tmp_path) == tmp_path
    assert model_dir.of_many_models(tmp_path / "nothing") is None
