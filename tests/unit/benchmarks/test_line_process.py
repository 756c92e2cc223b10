"""A module in a process of its own answers each line with a number."""

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.line_process import line_process
from tools.errors import ToolError


def module_of(text: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Write a module and make it importable in a process that this one starts."""
    (directory / "module_of_the_test.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(directory))
    return ModuleType("module_of_the_test")


def test_each_round_gives_the_next_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import sys\nfrom benchmarks.line_process import answer_lines\nnumbers = iter(map(float, sys.argv[1:]))\n"
    module = module_of(text + "answer_lines(lambda: next(numbers))", tmp_path, monkeypatch)
    with line_process(module, 1.5, 2) as process:
        for expected in (1.5, 2.0):
            process.begin()
            assert process.result() == expected


def test_a_process_that_ends_before_it_is_ready_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of("raise SystemExit(1)", tmp_path, monkeypatch)
    with pytest.raises(ToolError, match="module_of_the_test ended"), line_process(module):
        pass


def test_a_process_that_writes_something_else_first_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = module_of("print('hello')", tmp_path, monkeypatch)
    with pytest.raises(ToolError, match="was `hello`"), line_process(module):
        pass
