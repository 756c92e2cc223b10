"""Run the command evaluate, and read its report."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.tools.command import run_tool


def evaluate(directory: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run evaluate with all its files in one directory."""
    files = ("--journal", directory / "journal", "--output", directory / "report.json")
    files = (*files, "--changed", directory / "changed.jsonl")
    return run_tool("evaluate", *arguments, *files)


def report_of(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / "report.json").read_text())
    return content
