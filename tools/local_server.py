"""A server process of this program, started on a free port of this machine.

The benchmark, the scripts under benchmarks/ and the tests start their servers with it.
"""

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
    """Run `./entrypoint.sh serve` as a context manager. The server's output goes to the file `log`, if one is given."""

    def __init__(
        self,
        model_dir: Path,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        program_dir: Path = PROGRAM_DIR,
    ) -> None:
        """environment: settings; without `PORT`, the server gets a free port. program_dir: of the program to run."""
        self.port = int((environment or {}).get("PORT") or free_port())
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._log_file = log.open("wb") if log else None
        program = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        settings = {"MODEL_DIR": str(model_dir.absolute()), "HOST": "127.0.0.1", "PORT": str(self.port)}
        self.process = subprocess.Popen(
            [program_dir / "entrypoint.sh", "serve"],
            env={**os.environ, **program, **settings, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._log_file or subprocess.DEVNULL,
            stderr=subprocess.STDOUT if self._log_file else None,
        )

    def __enter__(self) -> "LocalServer":
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until_ready(self) -> None:
        """Wait until /ping answers with status 200.

        Raises: ToolError if the process ends first, or the time is up.
        """
        self._wait_for("answer /ping with 200", lambda: httpx.get(f"{self.url}/ping").status_code == 200, START_SECONDS)

    def wait_until_warm(self, seconds: float = START_SECONDS) -> None:
        """Wait until every rung is warm in every lane.

        Raises: ToolError if the process ends first, or the time is up.
        """
        self._wait_for("warm its ladder", lambda: bool(self.info()["is_warm"]), seconds)

    def info(self) -> dict[str, Any]:
        """Return the body of /info."""
        body: dict[str, Any] = httpx.get(f"{self.url}/info").raise_for_status().json()
        return body

    def stop(self) -> int:
        """Send SIGTERM, as a platform does, and return the exit code."""
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

    def _wait_for(self, action: str, is_done: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ToolError(f"the server ended with exit code {self.process.returncode}; its log says why")
            try:
                if is_done():
                    return
            except httpx.TransportError:
                pass  # the server has not opened its port yet
            time.sleep(POLL_SECONDS)
        self.stop()
        raise ToolError(f"the server did not {action} within {seconds:g} s")


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
