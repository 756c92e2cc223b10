"""Measure the server's memory while a large JSON Lines body streams through it in batch mode.

    python -m benchmarks.memory.batch_soak --megabytes 100

Request and answer are streamed. Memory is the proportional set size of the server's process tree. The output is one
JSON object. The exit code is 1 if memory rises more than 150 MiB above its idle value, or if an answer is missing.
"""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
from rich.progress import track

from benchmarks.arguments import DEMO, benchmark_parser
from benchmarks.server_process import warm_server
from tools.errors import run
from tools.process_tree import ProcessTree

MIB = 2**20
SENTENCE = "The lighthouse was built in 1871 by Zoë Müller. "
SENTENCES = 8  # In each line. Spaces fill the rest: they need no pass, so 100 MiB take minutes and not hours.
LIMIT_MIB = 150
MEMORY_POLL_SECONDS = 0.5


def main() -> None:
    """Stream the lines through a server, print the figures, and exit with the verdict."""
    parser = benchmark_parser(__doc__, model_dir=DEMO)
    parser.add_argument("--megabytes", type=int, default=100, help="size of the body in MiB (default: 100)")
    parser.add_argument("--line-bytes", type=int, default=16_000, help="approximate size of a line (default: 16000)")
    given = parser.parse_args()
    context = SENTENCE * SENTENCES + " " * max(0, given.line_bytes - SENTENCES * len(SENTENCE))
    line = json.dumps({"question": "Who built the lighthouse?", "context": context}).encode() + b"\n"
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with warm_server(given.model_dir, {"SAGEMAKER_BATCH": "true"}, log) as server:
            tree = ProcessTree(psutil.Process(server.process.pid))
            report = _soak(server.url, tree, given.megabytes * MIB // len(line), line)
    print(json.dumps(report))
    sys.exit(int(report["answers"] != report["lines"] or report["peak_above_idle_mib"] > LIMIT_MIB))


def _soak(url: str, tree: ProcessTree, count: int, line: bytes) -> dict[str, float]:
    """Send the lines, count the answers as they arrive, and watch the server's memory."""
    idle = tree.memory_bytes()
    peak, done = idle, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(MEMORY_POLL_SECONDS):
            peak = max(peak, tree.memory_bytes())

    watching = threading.Thread(target=watch)
    watching.start()
    start = time.perf_counter()
    try:
        answers = _stream(url, count, line)
    finally:
        done.set()
        watching.join()
    return {
        "lines": count,
        "answers": answers,
        "sent_mib": round(count * len(line) / MIB, 1),
        "seconds": round(time.perf_counter() - start, 1),
        "idle_mib": round(idle / MIB, 1),
        "peak_above_idle_mib": round((peak - idle) / MIB, 1),
    }


def _stream(url: str, count: int, line: bytes) -> int:
    """Send the line `count` times in one request; return the number of answered lines."""

    def body() -> Iterator[bytes]:
        for _ in track(range(count), description="lines sent"):
            yield line

    headers = {"content-type": "application/jsonlines"}
    with httpx.stream("POST", f"{url}/invocations", content=body(), headers=headers, timeout=3600) as response:
        response.raise_for_status()
        return sum(piece.count(b"\n") for piece in response.iter_bytes())


if __name__ == "__main__":
    run(main)
