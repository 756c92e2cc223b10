"""Run the commands under tools in processes of their own, as users do."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.local_server import PROGRAM_DIR

TIMEOUT_SECONDS = 900


def command_line(tool: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"tools.{tool}", *map(str, arguments)]


def run_tool(
    tool: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m tools.TOOL` from the root of the repository."""
    return subprocess.run(
        command_line(tool, *arguments),
        cwd=PROGRAM_DIR,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def run_entrypoint(tool: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `./entrypoint.sh TOOL`, as the image does."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [PROGRAM_DIR / "entrypoint.sh", tool, *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)


def error_of(ended: subprocess.CompletedProcess[str]) -> str:
    """Check that a command ended with one line for its user instead of a traceback, and return this line."""
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    return line
