"""What all commands have in common."""

import pytest

from tests.tools.command import run_tool


@pytest.mark.parametrize("command", ["quantize", "evaluate", "benchmark", "train_demo", "invoke"])
def test_a_command_explains_its_arguments_without_importing_torch(command: str) -> None:
    done = run_tool(command, "--help", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0, done.stderr
    assert f"usage: {command}" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "tools.arguments" in imported
    assert "torch" not in imported
