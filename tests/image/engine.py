"""Run containers of the image under test with docker or podman.

A container uses the network of the host, and listens on a free port of its own.
"""

import json
import os
import subprocess
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any

import httpx

from tests.waiting import wait_until
from tools.local_server import free_port

READY_SECONDS = 300
ENGINE = os.environ.get("CONTAINER_ENGINE", "")
IMAGE = os.environ.get("IMAGE", "")


def engine(*arguments: str, timeout: float = 600, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of docker or podman, and return its exit code and output."""
    ended = subprocess.run([ENGINE, *arguments], capture_output=True, text=True, timeout=timeout, check=False)
    assert not check or ended.returncode == 0, f"{ENGINE} {' '.join(arguments)}: {ended.stdout}{ended.stderr}"
    return ended


def run_image(*arguments: str, options: tuple[str, ...] = (), image: str = IMAGE) -> subprocess.CompletedProcess[str]:
    """Run the image in the foreground until it ends, and return its exit code and output."""
    return engine("run", "--rm", "--no-healthcheck", *options, image, *arguments, check=False)


class Container:
    """A container that runs `serve` in the background. Leaving the context removes the container."""

    def __init__(self, *options: str, network: str = "host", port: int | None = None, image: str = IMAGE) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.name = f"bert-qa-test-{uuid.uuid4().hex[:8]}"
        fixed = ("--network", network, "--name", self.name, "--env", f"SAGEMAKER_BIND_TO_PORT={self.port}")
        engine("run", "--detach", "--no-healthcheck", *fixed, *options, image, "serve")

    def __enter__(self) -> "Container":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            print(self.logs())  # pytest shows the output of a test that fails
        engine("rm", "--force", self.name)

    def logs(self) -> str:
        """Return everything that the server has written so far."""
        ended = engine("logs", self.name)
        return ended.stdout + ended.stderr

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the log as objects."""
        return [json.loads(line) for line in self.logs().splitlines() if line.startswith("{")]

    def messages(self) -> list[str]:
        """Return the messages of the log."""
        return [line["message"] for line in self.lines()]

    def execute(self, *command: str) -> str:
        """Run a command inside the container, and return what it prints."""
        return engine("exec", self.name, *command).stdout

    def ask_inside(self, path: str, body: bytes = b"") -> str:
        """Send a request from inside a container that has no network, and return the body of the response.

        The method is POST if there is a body to send, and GET otherwise.
        """
        script = (
            "import sys, urllib.request; data = sys.argv[2].encode() or None; "
            "headers = {'Content-Type': 'application/json'}; "
            "print(urllib.request.urlopen(urllib.request.Request(sys.argv[1], data, headers)).read().decode())"
        )
        return self.execute("python", "-c", script, f"{self.url}{path}", body.decode())

    def wait_until_ready(self) -> "Container":
        """Wait until the log says that the server is ready."""
        self._wait_until("the log says ready", lambda: any(message.startswith("ready") for message in self.messages()))
        return self

    def wait_for_ping(self) -> None:
        """Wait until /ping returns status 200."""
        self._wait_until("/ping returns 200", lambda: httpx.get(f"{self.url}/ping").status_code == 200)

    def wait_until_warm(self) -> None:
        """Wait until every rung is warm on every lane."""
        self._wait_until("every rung is warm", lambda: bool(httpx.get(f"{self.url}/info").json()["is_warm"]))

    def _wait_until(self, what: str, is_true: Callable[[], bool]) -> None:
        """Wait until a condition of the server is true. Fail if the container ends."""

        def is_running_and_true() -> bool:
            assert self.is_running(), "the container has ended"
            try:
                return is_true()
            except httpx.TransportError:  # the port is not open yet
                return False

        wait_until(what, is_running_and_true, READY_SECONDS, poll_seconds=0.2)

    def memory_bytes(self) -> int:
        """Return the memory of the container's processes. Shared pages count once, and the file cache not at all."""
        script = "cat /sys/fs/cgroup/memory.stat 2>/dev/null || cat /sys/fs/cgroup/memory/memory.stat"
        rows = dict(line.split() for line in self.execute("/bin/sh", "-c", script).splitlines())
        return int(rows.get("anon") or rows["total_rss"])

    def is_running(self) -> bool:
        """Return whether the container is still running."""
        return engine("inspect", "--format", "{{.State.Running}}", self.name).stdout.strip() == "true"

    def exit_code(self, seconds: float = 60) -> int:
        """Wait until the container ends, and return its exit code."""
        return int(engine("wait", self.name, timeout=seconds).stdout)

    def post(self, **arguments: Any) -> httpx.Response:
        """Send a request to /invocations, and return the response."""
        return httpx.post(f"{self.url}/invocations", timeout=60, **arguments)
