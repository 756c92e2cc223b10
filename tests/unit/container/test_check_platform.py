"""check_platform.sh says in one line what to do on a machine that cannot run the kernels."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def check(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", ROOT / "container" / "check_platform.sh"],
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
    )


def test_this_machine_passes_without_a_word() -> None:
    ended = check()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_missing_python_is_named() -> None:
    ended = check(PYTHON="/nothing/python3.11")
    assert ended.returncode == 1
    assert ended.stderr.startswith("bert-qa needs Python 3.11. Set PYTHON=")
    assert ended.stderr.count("\n") == 1


def test_another_architecture_is_named(tmp_path: Path) -> None:
    uname = tmp_path / "uname"
    uname.write_text("#!/bin/sh\necho Linux aarch64\n")
    uname.chmod(0o755)
    ended = check(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert ended.returncode == 1
    assert ended.stderr.startswith("bert-qa needs Linux on x86-64, but this machine runs Linux aarch64. Use the image")
    assert ended.stderr.count("\n") == 1
