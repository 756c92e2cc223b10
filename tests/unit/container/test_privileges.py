"""A server that starts as root becomes another user. Each test does so in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

USER_ID = 12345
SCRIPT = """
import json, logging, os, sys
from pathlib import Path
from container import privileges

logging.basicConfig(format="%(levelname)s %(message)s", level="INFO")
start_id, user_id, model_dir = json.loads(sys.argv[1])
if start_id is not None:
    os.setresuid(start_id, start_id, start_id)
privileges.drop(user_id, model_dir and Path(model_dir))
status = dict(line.split(":\\t") for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({"users": os.getresuid(), "groups": os.getresgid(), "other_groups": os.getgroups(),
                  "no_new_privileges": status["NoNewPrivs"] == "1"}))
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def after_drop(model_dir: Path | None, start_id: int | None = None) -> tuple[dict[str, Any], str]:
    """Start a process, perhaps as another user, and drop its privileges. Return its rights after that, and its log."""
    argument = json.dumps([start_id, USER_ID, model_dir and str(model_dir)])
    ended = subprocess.run([sys.executable, "-c", SCRIPT, argument], capture_output=True, text=True, check=True)
    return json.loads(ended.stdout), ended.stderr


@pytest.fixture
def model_dir() -> Iterator[Path]:
    """A directory that every user can read; pytest's own folders are closed to other users."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "onnx").mkdir(mode=0o755)
        for file in (directory / "model_int8.pt", directory / "onnx" / "extra.bin"):
            file.write_bytes(b"content")
            file.chmod(0o644)
        yield directory


@needs_root
def test_root_becomes_the_user_for_good(model_dir: Path) -> None:
    rights, log = after_drop(model_dir)
    assert rights == {
        "users": [USER_ID] * 3,
        "groups": [USER_ID] * 3,
        "other_groups": [],
        "no_new_privileges": True,
    }
    assert log == f"INFO root privileges are given up: the server runs as user {USER_ID}\n"


@needs_root
def test_root_becomes_the_user_without_a_directory_to_check() -> None:
    rights, _ = after_drop(None)
    assert rights["users"] == [USER_ID] * 3


@needs_root
@pytest.mark.parametrize("path", ["model_int8.pt", "onnx/extra.bin", "onnx", "."])
def test_the_process_stays_root_if_the_user_cannot_read_a_part_of_the_model(model_dir: Path, path: str) -> None:
    (model_dir / path).chmod(0o700)
    rights, log = after_drop(model_dir)
    assert rights["users"] == rights["groups"] == [0, 0, 0]
    assert log.startswith(f"WARNING stays root: user {USER_ID} cannot read {model_dir / path}. ")


def test_another_user_stays_what_it_is() -> None:
    start_id = 54321 if os.geteuid() == 0 else os.geteuid()
    rights, log = after_drop(None, start_id)
    assert rights["users"] == [start_id] * 3
    assert log == ""
