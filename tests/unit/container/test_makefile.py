"""The Makefile makes the demo model only for commands that need it."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def planned(ready: Path, *arguments: str) -> str:
    """Return what make would run, if there were an environment and no demo model.

    ready: a new file in place of .venv/ready. It must not be the Makefile itself: to bring a Makefile up to date, make
    runs its rule even with --dry-run, and this rule creates the environment again.
    """
    ready.touch()
    done = subprocess.run(
        ["make", "--dry-run", f"READY={ready}", "DEMO=build/no-such-model", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("target", ["evaluate", "benchmark"])
@pytest.mark.parametrize(
    ("arguments", "is_needed"),
    [
        ((), True),
        (("ARGS=--precisions int8",), True),
        (("ARGS=--url http://127.0.0.1:8080 --data a.json",), False),
        (("ARGS=--endpoint bert-qa --data a.json",), False),
        (("ARGS=--model-dir build/mine --data a.json",), False),
        (("MODEL_DIR=build/mine",), False),
    ],
)
def test_the_demo_model_is_made_only_if_it_is_asked(
    target: str, arguments: tuple[str, ...], is_needed: bool, tmp_path: Path
) -> None:
    commands = planned(tmp_path / "ready", target, *arguments)
    assert ("entrypoint.sh quantize" in commands) == is_needed
    assert "setup.sh" not in commands
