"""Run a Python module in a process of its own that does one round of work for each line it receives.

The benchmark calls line_process, and the module that runs in the process calls answer_lines.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

from tools.errors import ToolError

READY = "ready"


class LineProcess:
    """The benchmark's side of such a process."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self._name = name
        self._process = process

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def begin(self) -> None:
        """Start a round, without waiting for its end."""
        assert self._process.stdin
        self._process.stdin.write("\n")

    def result(self) -> float:
        """Wait for the end of the round, and return the number that the process measured.

        Raises: ToolError if the process has ended.
        """
        return float(self.read_line())

    def read_line(self) -> str:
        """Wait for a line of output.

        Raises: ToolError if the process has ended.
        """
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ToolError(f"the process of {self._name} ended; its message is above")
        return line.strip()


@contextmanager
def line_process(module: ModuleType, *arguments: object) -> Iterator[LineProcess]:
    """Run `python -m MODULE ARGUMENTS` until the block ends. The block starts when the process is ready.

    Raises: ToolError if the process ends, or writes something else, before it is ready.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module.__name__, *map(str, arguments)],
        env={**os.environ, "TORCH_CPP_LOG_LEVEL": "ERROR"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        started = LineProcess(module.__name__, process)
        if (first := started.read_line()) != READY:
            raise ToolError(f"the first line of {module.__name__} was `{first}` instead of `{READY}`")
        yield started
    finally:
        process.kill()
        process.communicate()


def answer_lines(work: Callable[[], float]) -> None:
    """Say that the process is ready; then, for each line on stdin, do the work and print what it returns."""
    print(READY, flush=True)
    for _ in sys.stdin:
        print(work(), flush=True)
