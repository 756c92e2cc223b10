"""Send a server a large number of random requests, 1 % of them hostile, and kill one of its lanes each minute.

    python -m tests.hostile.soak --requests 100000

Every answer is compared with the one that the server gave while it was quiet. Memory is the proportional set size of
the process tree of the idle server. The last line of the output is one JSON object. The exit code is 1 if an answer is
wrong or missing, if memory at the end is more than 5 % above memory after the first tenth of the requests, or if the
numbers of file descriptors differ.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from tests.hostile.soak.client import Client, Tally
from tests.hostile.soak.questions import Reference, ask_references
from tests.server.server_process import has_ended, server_processes
from tests.waiting import wait_until
from tools.local_server import LocalServer
from tools.process_tree import ProcessTree

DEMO = Path("build/demo")
DATA = "models/demo/held_out.json"
MEMORY_LIMIT = 0.05
QUIET_SECONDS = 15.0  # connections have ended, and freed memory is back at the system
WARM_SECONDS = 600.0
SETTINGS = {"MAX_BATCH_WINDOWS": "1"}  # the logits of INT8 in a batch differ from the reference by more than rounding
PROGRESS_SECONDS = 30.0


def main() -> None:
    """Run the soak, print the figures, and exit with the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-dir", type=Path, default=DEMO, help="directory of the artifact (default: build/demo)")
    parser.add_argument("--requests", type=int, default=100_000, help="number of requests (default: 100000)")
    parser.add_argument("--references", type=int, default=500, help="number of different questions (default: 500)")
    parser.add_argument("--clients", type=int, default=4, help="number of clients (default: 4)")
    parser.add_argument("--kill-seconds", type=float, default=60, help="time between two kills (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything that is random (default: 0)")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as directory,
        LocalServer(given.model_dir, SETTINGS, log=Path(directory) / "log") as server,
    ):
        report = soak(server, given)
    print(json.dumps(report))
    sys.exit(int(not report["is_passed"]))


def soak(server: LocalServer, given: argparse.Namespace) -> dict[str, Any]:
    """Send the requests, and return the figures."""
    server.wait_until_warm(WARM_SECONDS)
    replace_all_lanes(server)
    start, tally = time.monotonic(), Tally()
    references = ask_references(server.port, DATA, given.references, given.seed)
    print(f"{len(references)} references after {time.monotonic() - start:.0f} s", flush=True)
    with Killer(server, given.kill_seconds) as killer:
        load(server, references, given, tally, given.requests // 10)
    first = idle(server)
    print(f"idle after {tally.done} requests: {first}", flush=True)
    kills = killer.kills
    with Killer(server, given.kill_seconds) as killer:
        load(server, references, given, tally, given.requests)
    last = idle(server)
    change = last["mib"] / first["mib"] - 1
    is_steady = change <= MEMORY_LIMIT and first["file_descriptors"] == last["file_descriptors"]
    return {
        "is_passed": is_steady and not tally.failed,
        "requests": tally.done,
        "seconds": round(time.monotonic() - start),
        "lanes_killed": kills + killer.kills,
        **tally.counts,
        "failed": tally.failed,
        "failures": tally.failures,
        "after_first_tenth": first,
        "at_the_end": last,
        "memory_change": round(change, 4),
    }


def replace_all_lanes(server: LocalServer) -> None:
    """Kill each lane once. The new ones share more memory with the zygote than the first ones."""
    for lane in server_processes(server).lanes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has been replaced since
            lane.kill()
        wait_until("the lane has ended", lambda lane=lane: has_ended(lane.pid))
        wait_until("every lane is alive", lambda: is_alive(server), WARM_SECONDS)
    wait_until("every lane is warm", lambda: is_complete(server), WARM_SECONDS)


def load(server: LocalServer, references: list[Reference], given: argparse.Namespace, tally: Tally, until: int) -> None:
    """Let the clients send requests until `until` are done in all, and print a line about it now and then."""
    start = time.monotonic()
    with ThreadPoolExecutor(given.clients) as threads:
        seeds = [f"{given.seed} {until} {number}" for number in range(given.clients)]
        running = [threads.submit(Client(server.port, references, tally, seed).run, until) for seed in seeds]
        while not all(each.done() for each in running):
            time.sleep(min(PROGRESS_SECONDS, 1))
            if time.monotonic() - start >= PROGRESS_SECONDS:
                start = time.monotonic()
                print(f"{tally.done} of {given.requests} requests, {tally.failed} failures", flush=True)
        for each in running:
            each.result()


def idle(server: LocalServer) -> dict[str, float]:
    """Wait until the server is idle and complete, and return its memory and its number of file descriptors."""
    wait_until("every lane is alive and warm", lambda: is_complete(server), WARM_SECONDS)
    time.sleep(QUIET_SECONDS)
    root = psutil.Process(server.process.pid)
    processes = [root, *root.children(recursive=True)]
    descriptors = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            descriptors += process.num_fds()
    mib = round(ProcessTree(root).memory_bytes() / 2**20, 1)
    return {"mib": mib, "file_descriptors": descriptors, "processes": len(processes)}


def is_complete(server: LocalServer) -> bool:
    """Return whether every lane is alive and has its whole ladder warm."""
    return bool(server.info()["is_warm"]) and is_alive(server)


def is_alive(server: LocalServer) -> bool:
    """Return whether every lane is alive."""
    return all(lane["is_alive"] for lane in server.info()["lanes"])


class Killer:
    """Kills the oldest lane every `seconds`, so that it is each lane's turn. Use it as a context manager."""

    def __init__(self, server: LocalServer, seconds: float) -> None:
        self.kills = 0
        self._server = server
        self._seconds = seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self._seconds):
            lanes = server_processes(self._server).lanes
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended by itself
                min(lanes, key=lambda lane: float(lane.create_time())).kill()
                self.kills += 1


if __name__ == "__main__":
    main()
