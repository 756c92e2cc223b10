"""A fixture that stands in for /proc and /sys."""

from collections.abc import Callable
from pathlib import Path

import pytest

from container import cgroup, cpu


@pytest.fixture
def system_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, str]], None]:
    """Return a function that writes files by absolute path and content. The code finds them instead of the system's."""

    def write(contents: dict[str, str]) -> None:
        for path, content in contents.items():
            file = tmp_path / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    for module in (cgroup, cpu):
        monkeypatch.setattr(module, "Path", lambda path: tmp_path / path.lstrip("/"))
    return write
