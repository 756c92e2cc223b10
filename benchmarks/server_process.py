"""Start a server for a benchmark: this project's server with its whole ladder warm, or any other command."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from tools.errors import ToolError
from tools.local_server import LocalServer

WARM_SECONDS = 600
POLL_SECONDS = 0.5
STOP_SECONDS = 30


@contextmanager
def warm_server(
    model_dir: Path, settings: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[LocalServer]:
    """Run this project's server until the block ends. The block starts when the whole ladder is warm."""
    with LocalServer(model_dir, settings, log) as server:
        server.wait_until_warm(WARM_SECONDS)
        yield server


@contextmanager
def server_process(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own. End the whole group and all descendants when the block ends.

    Args:
        command: the program and its arguments.
        environment: variables that are added to this process's own.
        log: the file that the output is written to.
    """
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


def exit_on_sigterm() -> None:
    """Let SIGTERM end this process as an exception does, so that server_process ends the servers too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


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
    """Send SIGTERM to the whole process group, and SIGKILL to the processes that still run after STOP_SECONDS.

    Descendants that have left the group, as Ray's workers do, have as long to end by themselves.
    """
    deadline = time.monotonic() + STOP_SECONDS
    descendants = _descendants(process.pid)
    with suppress(ProcessLookupError):  # The group is empty.
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()  # Without this, the ended leader stays in the group as a zombie.
            os.killpg(process.pid, 0)
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _, running = psutil.wait_procs(descendants, timeout=max(0.0, deadline - time.monotonic()))
    for descendant in running:
        with suppress(psutil.NoSuchProcess):
            descendant.kill()


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []
