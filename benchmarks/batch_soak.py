"""Memory while a large JSON Lines body streams through a server of our own in batch mode.

Run from the repository root: python benchmarks/batch_soak.py --megabytes 100. Prints one JSON object; exits 1 above
the limit of 150 MiB over idle. Both sides stream; memory is the proportional set size of the server's process tree.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from rich.progress import Progress  # noqa: E402

from tools.local_server import LocalServer  # noqa: E402
from tools.process_tree import ProcessTree  # noqa: E402

CONTEXT = "The lighthouse was built in 1871 by Zoë Müller. "
SENTENCES = 8  # of each line; the rest is white space, which costs no pass, so that 100 MiB take minutes
LIMIT_MIB = 150


def body(count: int, line: bytes) -> Iterator[bytes]:
    with Progress() as progress:
        for _ in progress.track(range(count), description="lines sent"):
            yield line


def soak(url: str, tree: ProcessTree, count: int, line: bytes) -> dict[str, float]:
    """Send the lines, read the answers as they come, and watch the server's memory."""
    idle = tree.memory_bytes()
    peak, done = idle, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.5):
            peak = max(peak, tree.memory_bytes())

    watching = threading.Thread(target=watch)
    watching.start()
    start, answers = time.perf_counter(), 0
    headers = {"content-type": "application/jsonlines"}
    try:
        with httpx.stream(
            "POST", f"{url}/invocations", content=body(count, line), headers=headers, timeout=3600
        ) as answer:
            answer.raise_for_status()
            answers = sum(piece.count(b"\n") for piece in answer.iter_bytes())
    finally:
        done.set()
        watching.join()
    return {
        "lines": count,
        "answers": answers,
        "sent_mib": round(count * len(line) / 2**20, 1),
        "seconds": round(time.perf_counter() - start, 1),
        "idle_mib": round(idle / 2**20, 1),
        "peak_above_idle_mib": round((peak - idle) / 2**20, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=ROOT / "build" / "demo")
    parser.add_argument("--megabytes", type=int, default=100, help="size of the body, MiB")
    parser.add_argument("--line-bytes", type=int, default=16_000, help="size of one line, about")
    arguments = parser.parse_args()
    context = CONTEXT * SENTENCES + " " * max(0, arguments.line_bytes - SENTENCES * len(CONTEXT))
    line = json.dumps({"question": "Who built the lighthouse?", "context": context}).encode() + b"\n"
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with LocalServer(arguments.model_dir, {"SAGEMAKER_BATCH": "true"}, log) as server:
            server.wait_until_warm()
            tree = ProcessTree(psutil.Process(server.process.pid))
            report = soak(server.url, tree, arguments.megabytes * 2**20 // len(line), line)
    print(json.dumps(report))
    return int(report["answers"] != report["lines"] or report["peak_above_idle_mib"] > LIMIT_MIB)


if __name__ == "__main__":
    sys.exit(main())
