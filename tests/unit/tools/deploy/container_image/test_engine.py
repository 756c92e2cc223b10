"""What the push of an image leaves behind, with a command in the place of docker that records how it was called."""

from pathlib import Path

import pytest

from tools.deploy.container_image.engine import ContainerEngine
from tools.errors import ToolError

URI = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/bert-qa:0123"
_ENGINE = """#!/bin/sh
echo "$@" >> {calls}
case "$1 $2" in
  "image inspect") echo "{names}" ;;
  "push "*) exit {status} ;;
esac
"""


def make_engine(folder: Path, patch: pytest.MonkeyPatch, names: str, status: int = 0) -> ContainerEngine:
    """Write a command whose images have these names, and whose pushes end with this status."""
    (folder / "engine").write_text(_ENGINE.format(calls=folder / "calls", names=names, status=status))
    (folder / "engine").chmod(0o755)
    patch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return ContainerEngine("engine")


def calls(folder: Path) -> list[str]:
    return [line for line in (folder / "calls").read_text().splitlines() if not line.startswith("image inspect")]


@pytest.mark.parametrize("user", ["", "AWS"])
def test_the_name_for_the_push_is_removed_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    make_engine(tmp_path, monkeypatch, "bert-qa:latest").push("bert-qa", URI, user=user, password="x")
    assert calls(tmp_path) == [f"tag bert-qa {URI}", f"push {URI}", f"rmi {URI}"]


def test_the_name_is_removed_after_a_failed_push_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolError, match="push .* failed"):
        make_engine(tmp_path, monkeypatch, "bert-qa:latest", status=1).push("bert-qa", URI)
    assert calls(tmp_path)[-1] == f"rmi {URI}"


@pytest.mark.parametrize("names", ["", f"bert-qa:latest {URI}"], ids=["no other name", "the user gave this name"])
def test_a_name_that_the_image_needs_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    make_engine(tmp_path, monkeypatch, names).push("bert-qa", URI)
    assert calls(tmp_path) == [f"tag bert-qa {URI}", f"push {URI}"]
