"""Run the server as a process, and look at its processes, its log and its metrics."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.waiting import wait_until
from tools.local_server import PROGRAM_DIR, LocalServer, free_port

# Settings of a server that accepts long documents, also if other programs use its cores and make its windows slow.
PATIENT = {"REQUEST_TIMEOUT_SECONDS": "900", "MAX_QUEUE_SECONDS": "900"}


def run_until_exit(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run entrypoint.sh, with `serve` unless other arguments are given, until it ends without a signal."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    address = {"HOST": "127.0.0.1", "PORT": str(free_port())}
    return subprocess.run(
        [PROGRAM_DIR / "entrypoint.sh", *(arguments or ("serve",))],
        env={**os.environ, "PATH": path, **address, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def log_rows(log: str) -> list[dict[str, Any]]:
    """Return the lines of a log as objects. Lines that are not JSON, or not written to their end, are left out."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{") and line.endswith("}")]


def row_of_request(server: LocalServer, request_id: str) -> dict[str, Any]:
    """Return the log line of a request. The server writes it after the response, later if it is busy with others."""

    def rows() -> list[dict[str, Any]]:
        assert server.log
        found = log_rows(server.log.read_text())
        return [row for row in found if (row.get("request_id"), row["message"]) == (request_id, "invocation")]

    wait_until(f"the log has the line of request {request_id}", lambda: bool(rows()))
    (row,) = rows()
    return row


def error_messages(log: str) -> list[str]:
    """Return the messages of a log that have the level ERROR."""
    return [row["message"] for row in log_rows(log) if row["level"] == "ERROR"]


def metric_lines(server: LocalServer, name: str) -> list[str]:
    """Return the lines of /metrics that begin with a name."""
    return [line for line in httpx.get(f"{server.url}/metrics").text.splitlines() if line.startswith(name)]


def queued_windows(server: LocalServer, model: str | None = None) -> float:
    """Return how many windows wait in the queue. In a multi-model endpoint, each model has a queue of its own."""
    label = f'{{model="{model}"}}' if model else ""
    (line,) = metric_lines(server, f"bertqa_queue_windows{label} ")
    return float(line.split()[-1])


@dataclass(frozen=True)
class ServerProcesses:
    """The processes of a server with one model."""

    worker: psutil.Process
    zygote: psutil.Process
    lanes: list[psutil.Process]


def server_processes(server: LocalServer) -> ServerProcesses:
    """Find the processes of a server with one model."""
    (worker,) = psutil.Process(server.process.pid).children()
    (zygote,) = (child for child in worker.children() if "model_loader.zygote" in command_of(child))
    return ServerProcesses(worker, zygote, [lane for lane in zygote.children() if not has_ended(lane.pid)])


def zygote_of(server: LocalServer) -> psutil.Process:
    """Wait until a server that starts has a zygote, and return this process."""
    found: list[psutil.Process] = []

    def is_found() -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            below = psutil.Process(server.process.pid).children(recursive=True)
            found[:] = [each for each in below if "model_loader.zygote" in command_of(each)]
        return bool(found)

    wait_until("the server has a zygote", is_found)
    return found[0]


def windows_run(server: LocalServer) -> float:
    """Return how many windows the lanes have run since the server started."""
    return sum(float(line.split()[-1]) for line in metric_lines(server, "bertqa_windows_total{"))


def child_pids(server: LocalServer) -> set[int]:
    """Return the IDs of all living processes that the server started."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    return {process.pid for process in children if not has_ended(process.pid)}


def command_of(process: psutil.Process) -> list[str]:
    """Return the command line of a process; nothing if it has ended."""
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


def has_ended(pid: int) -> bool:
    """Return whether the process with this ID has ended. A zombie counts as ended."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def cores_of(lane: psutil.Process) -> list[int]:
    """Return the cores to which the threads of a lane are pinned."""
    return sorted(core for thread in lane.threads() for core in psutil.Process(thread.id).cpu_affinity())
