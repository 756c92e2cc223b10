"""The commands that the benchmarks' documents name exist and show their arguments."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "benchmarks.md"
SOURCES = [PAGE, ROOT / "benchmarks" / "peers" / "README.md", *sorted((ROOT / "benchmarks").rglob("*.py"))]
IN_TABLES = sorted(set(re.findall(r"\| `([a-z_.]+)[^`|]*` \|", PAGE.read_text())))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_names_a_module(source: Path) -> None:
    for module in re.findall(r"python -m (benchmarks[a-z_.]*[a-z])", source.read_text()):
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize("command", IN_TABLES)
def test_every_command_in_the_tables_shows_its_arguments(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{command}", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"python -m benchmarks.{command}" in done.stdout


def test_the_tables_name_commands() -> None:
    assert len(IN_TABLES) > 8
