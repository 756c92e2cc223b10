"""Measure from outside how much memory a server takes while something happens to it.

    with MemoryProcess(server.process.pid) as memory:
        ...
    assert memory.growth_bytes < 20e6

Memory is the proportional set size (PSS) of the processes that handle HTTP and text: pages that several processes share
count once. The zygote and the lanes are left out, because they receive windows of a bounded length only. A process of
its own reads it every 20 ms, so that nothing in the test's process delays it.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from select import select

ROOT = Path(__file__).parents[2]
EVERY_SECONDS = 0.02
ZYGOTE_MODULE = b"model_loader.zygote"


class MemoryProcess:
    """A process that reads the memory of a server every 20 ms. Use it as a context manager.

    Attributes, after the block:
        before_bytes: the memory at the beginning.
        growth_bytes: the most memory that was seen, less that at the beginning.
    """

    def __init__(self, master_pid: int) -> None:
        self.before_bytes = 0
        self.growth_bytes = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.memory_growth", str(master_pid)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "MemoryProcess":
        assert self._process.stdout
        self.before_bytes = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        output, _ = self._process.communicate()  # closes its standard input, which ends it
        self.growth_bytes = json.loads(output) - self.before_bytes


def server_bytes(master_pid: int) -> int:
    """Return the memory of the processes below gunicorn's master that handle HTTP and text, in bytes."""
    return sum(map(pss_bytes, text_pids(master_pid)))


def text_pids(master_pid: int) -> Iterator[int]:
    """Yield the processes below gunicorn's master, without the zygote and what is below it."""
    to_visit = child_pids(master_pid)
    while to_visit:
        pid = to_visit.pop()
        if ZYGOTE_MODULE not in command_line(pid):
            yield pid
            to_visit += child_pids(pid)


def child_pids(pid: int) -> list[int]:
    """Return the children of a process; none if it has ended."""
    try:
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    except OSError:
        return []


def _children(task: Path) -> list[str]:
    try:
        return (task / "children").read_text().split()
    except OSError:  # the thread has ended
        return []


def command_line(pid: int) -> bytes:
    """Return the command of a process; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def pss_bytes(pid: int) -> int:
    """Return the proportional set size of a process; 0 if it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def main() -> None:
    """Print the memory now; when the standard input closes, print the most that was seen."""
    master_pid = int(sys.argv[1])
    largest = server_bytes(master_pid)
    print(largest, flush=True)
    due = time.monotonic()
    while not select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        due = time.monotonic() + EVERY_SECONDS
        largest = max(largest, server_bytes(master_pid))
    print(largest)


if __name__ == "__main__":
    main()
