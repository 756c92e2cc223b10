"""Start a server of any kind in a process group of its own, wait until it is ready, and end it with its children."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tools.errors import ToolError

POLL_SECONDS = 0.5
STOP_SECONDS = 30


@contextmanager
def server_process(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command with these variables added to the environment. Its output goes to the file `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end_group(process)


def wait_until(is_ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    """Ask `is_ready` again and again until it returns True. A refused connection counts as "not yet".

    Raises: ToolError if the process ends or the time is over.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ToolError(f"the server ended with exit code {process.returncode} before it was ready; read {log}")
        try:
            if is_ready():
                return
        except httpx.TransportError:
            pass  # The port is not open yet.
        time.sleep(POLL_SECONDS)
    raise ToolError(f"the server was not ready within {seconds:g} s; read {log}")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to the whole process group, and SIGKILL to the processes that still run after STOP_SECONDS."""
    deadline = time.monotonic() + STOP_SECONDS
    with suppress(ProcessLookupError):  # The group is empty.
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()  # Without this, the ended leader stays in the group as a zombie.
            os.killpg(process.pid, 0)
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
