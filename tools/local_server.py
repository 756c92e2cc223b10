"""A server process of one's own on a free port of this machine: for the benchmark, and for the tests."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tools.errors import ToolError

PROGRAM_DIR = Path(__file__).parents[1]
START_SECONDS = 120
STOP_SECONDS = 30
POLL_SECONDS = 0.1


class LocalServer:
    """`./entrypoint.sh serve` as a context manager; its output goes to log, or nowhere."""

    def __init__(self, model_dir: Path, environment: Mapping[str, str] | None = None, log: Path | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._log_file = log.open("wb") if log else None
        program = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        settings = {"MODEL_DIR": str(model_dir.absolute()), "HOST": "127.0.0.1", "PORT": str(self.port)}
        self.process = subprocess.Popen(
            [PROGRAM_DIR / "entrypoint.sh", "serve"],
            env={**os.environ, **program, **settings, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._log_file or subprocess.DEVNULL,
            stderr=subprocess.STDOUT if self._log_file else None,
        )

    def __enter__(self) -> "LocalServer":
        self.wait_until_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until_ready(self) -> None:
        """Wait for /ping to say 200.

        Raises: ToolError where the process ends before.
        """
        self._wait_for("answer /ping with 200", lambda: httpx.get(f"{self.url}/ping").status_code == 200, START_SECONDS)

    def wait_until_warm(self, seconds: float = START_SECONDS) -> None:
        """Wait until every rung is warm on every lane.

        Raises: ToolError where the process ends before.
        """
        self._wait_for("warm its ladder", lambda: bool(self.info()["is_warm"]), seconds)

    def info(self) -> dict[str, Any]:
        """The body of /info."""
        body: dict[str, Any] = httpx.get(f"{self.url}/info").raise_for_status().json()
        return body

    def stop(self) -> int:
        """SIGTERM, as a platform stops it; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            if self._log_file:
                self._log_file.close()
        return code

    def _wait_for(self, what: str, is_so: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ToolError(f"the server ended with exit code {self.process.returncode}; its log says why")
            try:
                if is_so():
                    return
            except httpx.TransportError:
                pass  # the port is not bound yet
            time.sleep(POLL_SECONDS)
        self.stop()
        raise ToolError(f"the server did not {what} within {seconds:g} s")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
