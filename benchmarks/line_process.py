"""Run a Python module in a process of its own that does one round of work for each line it receives.

The benchmark uses LineProcess, and the module that runs in the process uses answer_lines.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

from tools.errors import ToolError

READY = "ready"


class LineProcess:
    """A context manager for one such process. It waits until the process is ready, and kills the process at the end."""

    def __init__(self, module: ModuleType, *arguments: object) -> None:
        """Start `python -m MODULE ARGUMENTS`."""
        self._name = module.__name__
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._name, *map(str, arguments)],
            env={**os.environ, "TORCH_CPP_LOG_LEVEL": "ERROR"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> "LineProcess":
        if self._read_line() != READY:
            raise ToolError(f"{self._name} wrote something else than `{READY}` first. This is a bug")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self) -> None:
        """Start a round. Does not wait for its end."""
        assert self._process.stdin
        self._process.stdin.write("\n")

    def result(self) -> float:
        """Wait for the end of the round, and return the number that the process measured.

        Raises: ToolError if the process has ended.
        """
        return float(self._read_line())

    def _read_line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ToolError(f"the process of {self._name} ended; its message is above")
        return line.strip()


def answer_lines(work: Callable[[], float]) -> None:
    """Say that the process is ready; then, for each line on stdin, do the work and print what it returns."""
    print(READY, flush=True)
    for _ in sys.stdin:
        print(work(), flush=True)
