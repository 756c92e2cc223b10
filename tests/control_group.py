"""A control group of Linux for some processes, with a limit on their memory or their CPU time that may change."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import wait_until

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 1_000_000
NUMBERS = itertools.count()
# What a process does that takes memory: wait until it is in the group, take the memory, and keep it.
TAKE = """
import sys
sys.stdin.readline()
held = bytearray(b"x") * int(sys.argv[1])
print(flush=True)
sys.stdin.read()
"""


class NoControlGroup(Exception):
    """This system gives no group of its own: the user may not create one, or the controller is not available."""


class ControlGroup:
    """A group of version 1 or 2, directly below the root of its hierarchy."""

    def __init__(self, controller: str) -> None:
        """controller: `memory` or `cpu`. Raises: NoControlGroup."""
        first = (ROOT / controller).is_dir()
        self._is_first_version = first
        self._folder = (ROOT / controller if first else ROOT) / f"bert-qa-test-{os.getpid()}-{next(NUMBERS)}"
        needed = {"memory": "memory.limit_in_bytes", "cpu": "cpu.cfs_quota_us"} if first else {}
        try:
            self._folder.mkdir()
        except OSError as error:
            raise NoControlGroup(f"cannot create a control group: {error}") from None
        if not (self._folder / needed.get(controller, f"{controller}.max")).exists():
            self._folder.rmdir()
            raise NoControlGroup(f"the controller {controller} is not available")

    def add(self, pid: int) -> None:
        """Move a process into the group. Its later children begin there."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def limit_memory(self, free_bytes: int) -> None:
        """Set the limit so that this much is free now. The file cache counts as free."""
        limit = self._used_bytes() + free_bytes
        (self._folder / ("memory.limit_in_bytes" if self._is_first_version else "memory.max")).write_text(str(limit))

    def limit_cpu(self, share: float | None) -> None:
        """Let all processes of the group together use this share of one core. None removes the limit."""
        quota = None if share is None else int(share * PERIOD_US)
        if self._is_first_version:
            (self._folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (self._folder / "cpu.cfs_quota_us").write_text(str(-1 if quota is None else quota))
        else:
            (self._folder / "cpu.max").write_text(f"{'max' if quota is None else quota} {PERIOD_US}")

    @contextmanager
    def taken(self, memory_bytes: int) -> Iterator[None]:
        """Let a process in the group take this much memory until the block ends."""
        command = [sys.executable, "-c", TAKE, str(memory_bytes)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin
            assert process.stdout
            self.add(process.pid)
            process.stdin.write(b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"\n", "the process that takes memory has ended"
            yield  # the end of the input, which the context of Popen sends, ends the process

    def close(self) -> None:
        """Remove the group, once its processes have ended."""
        wait_until("the control group is empty", lambda: not (self._folder / "cgroup.procs").read_text().strip())
        self._folder.rmdir()

    def _used_bytes(self) -> int:
        name = "memory.usage_in_bytes" if self._is_first_version else "memory.current"
        fields = dict(line.split() for line in (self._folder / "memory.stat").read_text().splitlines())
        cached = sum(int(fields.get(f"total_{each}", fields.get(each, 0))) for each in ("active_file", "inactive_file"))
        return int((self._folder / name).read_text()) - cached
