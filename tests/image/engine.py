"""Containers of the image under test, by docker or podman. On the host's network, each with its port."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any

import httpx

from tools.local_server import free_port

READY_SECONDS = 120
ENGINE = os.environ.get("CONTAINER_ENGINE", "")
IMAGE = os.environ.get("IMAGE", "")


def engine(*arguments: str, timeout: float = 600, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of docker or podman."""
    ended = subprocess.run([ENGINE, *arguments], capture_output=True, text=True, timeout=timeout, check=False)
    assert not check or ended.returncode == 0, f"{ENGINE} {' '.join(arguments)}: {ended.stdout}{ended.stderr}"
    return ended


def run_until_exit(*arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """`docker run` in the foreground."""
    return engine("run", "--rm", "--no-healthcheck", *options, IMAGE, *arguments, check=False)


class Container:
    """`docker run ... serve` as a context manager."""

    def __init__(self, *options: str, network: str = "host", port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.name = f"bert-qa-test-{uuid.uuid4().hex[:8]}"
        fixed = ("--network", network, "--name", self.name, "--env", f"SAGEMAKER_BIND_TO_PORT={self.port}")
        engine("run", "--detach", "--no-healthcheck", *fixed, *options, IMAGE, "serve")

    def __enter__(self) -> "Container":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            print(self.logs())  # pytest shows it with the failure
        engine("rm", "--force", self.name)

    def logs(self) -> str:
        """What it wrote so far."""
        ended = engine("logs", self.name)
        return ended.stdout + ended.stderr

    def lines(self) -> list[dict[str, Any]]:
        """Its log lines."""
        return [json.loads(line) for line in self.logs().splitlines() if line.startswith("{")]

    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines()]

    def execute(self, *command: str) -> str:
        """What a command inside prints."""
        return engine("exec", self.name, *command).stdout

    def ask_inside(self, path: str, body: bytes = b"") -> str:
        """A request from within, for a container without network; POST where there is a body."""
        script = (
            "import sys, urllib.request; data = sys.argv[2].encode() or None; "
            "headers = {'Content-Type': 'application/json'}; "
            "print(urllib.request.urlopen(urllib.request.Request(sys.argv[1], data, headers)).read().decode())"
        )
        return self.execute("python", "-c", script, f"{self.url}{path}", body.decode())

    def wait_until_ready(self) -> "Container":
        """Wait for the log to say so."""

        def says_so() -> bool:
            assert self.is_running(), self.logs()
            return any(message.startswith("ready") for message in self.messages())

        self._wait_for(says_so)
        return self

    def wait_for_ping(self) -> None:
        """Wait for /ping to say 200."""
        self._wait_for(lambda: httpx.get(f"{self.url}/ping").status_code == 200)

    def wait_until_warm(self) -> None:
        """Wait until every rung is warm on every lane."""
        self._wait_for(lambda: bool(httpx.get(f"{self.url}/info").json()["is_warm"]))

    def _wait_for(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                if is_so():
                    return
            except httpx.TransportError:
                assert self.is_running(), self.logs()
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.2)

    def memory_bytes(self) -> int:
        """What its processes use, pages that they share counted once, files in cache not counted."""
        script = "cat /sys/fs/cgroup/memory.stat 2>/dev/null || cat /sys/fs/cgroup/memory/memory.stat"
        rows = dict(line.split() for line in self.execute("/bin/sh", "-c", script).splitlines())
        return int(rows.get("anon") or rows["total_rss"])

    def is_running(self) -> bool:
        return engine("inspect", "--format", "{{.State.Running}}", self.name).stdout.strip() == "true"

    def exit_code(self, seconds: float = 60) -> int:
        """Wait until it ends."""
        return int(engine("wait", self.name, timeout=seconds).stdout)

    def post(self, **arguments: Any) -> httpx.Response:
        """POST /invocations."""
        return httpx.post(f"{self.url}/invocations", timeout=60, **arguments)
