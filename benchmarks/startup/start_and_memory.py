"""Measure the time from the command to `/ping` 200, and the memory of every process after all rungs were used.

    python -m benchmarks.startup.start_and_memory --model-dir build/bert-base --starts 5

Memory is proportional set size: a page that n processes share counts 1/n in each. Memory is read at the last start,
when the whole ladder is warm and every lane has run every rung. The file cache should be warm.
"""

import asyncio
import os
import statistics
import time
from collections import defaultdict

import psutil

from benchmarks import traffic
from benchmarks.arguments import DEMO, benchmark_parser
from benchmarks.server_process import WARM_SECONDS
from tools.benchmark.load_generator import closed_loop
from tools.errors import run
from tools.local_server import LocalServer


def main() -> None:
    """Start the server several times and print the times, then the memory by role."""
    parser = benchmark_parser(__doc__, model_dir=DEMO)
    parser.add_argument("--precisions", default="auto", help="value of the setting PRECISIONS (default: auto)")
    parser.add_argument("--starts", type=int, default=5, help="number of starts (default: 5)")
    given = parser.parse_args()
    ready_seconds: list[float] = []
    for _ in range(given.starts):
        start = time.perf_counter()
        with LocalServer(given.model_dir, {"PRECISIONS": given.precisions}) as server:
            ready_seconds.append(time.perf_counter() - start)
            if len(ready_seconds) == given.starts:
                server.wait_until_warm(WARM_SECONDS)
                warm_seconds = time.perf_counter() - start
                _use_every_rung(server)
                memory_mb = _memory_mb_by_role(server.process.pid)
                lanes = ", ".join(lane["name"] for lane in server.info()["lanes"])
    rounded = [round(seconds, 1) for seconds in ready_seconds]
    print(f"{given.model_dir}, PRECISIONS={given.precisions}, lanes {lanes}:")
    print(f"  start to /ping 200: median {statistics.median(ready_seconds):.1f} s of {rounded}")
    print(f"  start to the whole ladder warm: {warm_seconds:.0f} s")
    for role, of_role in memory_mb.items():
        print(f"  {role:12s} {' + '.join(f'{mb:.0f}' for mb in of_role)} MB")
    print(f"  together     {sum(map(sum, memory_mb.values())):.0f} MB proportional set size")


def _use_every_rung(server: LocalServer) -> None:
    """Send requests of every length on every kind of lane: one at a time, several at once, and one long document."""
    info = server.info()
    for precision in info["precisions"]:
        bodies = [traffic.body_of_length(rung, precision) for rung in info["rungs"]]
        document = traffic.body_of_length(info["rungs"][-1] * 16, precision)
        asyncio.run(closed_loop(server.url, bodies, 1, requests=len(bodies)))
        asyncio.run(closed_loop(server.url, bodies, 6, requests=4 * len(bodies)))
        asyncio.run(closed_loop(server.url, [document], 1, requests=1))


def _memory_mb_by_role(gunicorn_pid: int) -> dict[str, list[float]]:
    """Return the proportional set size of every process, in megabytes."""
    gunicorn = psutil.Process(gunicorn_pid)
    (worker,) = gunicorn.children()
    (zygote,) = (child for child in worker.children() if "model_loader.zygote" in child.cmdline())
    memory_mb: dict[str, list[float]] = defaultdict(list)
    roles = [("gunicorn", gunicorn), ("HTTP worker", worker), ("zygote", zygote)]
    roles += [(_lane_role(lane), lane) for lane in zygote.children() if lane.status() != psutil.STATUS_ZOMBIE]
    for role, process in roles:
        memory_mb[role].append(process.memory_full_info().pss / 1e6)
    return memory_mb


def _lane_role(lane: psutil.Process) -> str:
    """Tell the kinds of lanes apart by their threads and by how they give way to others."""
    if len(lane.threads()) > 1:
        return "wide"
    if os.sched_getscheduler(lane.pid) == os.SCHED_IDLE:
        return "guard"
    return "background" if lane.nice() > 1 else "narrow"


if __name__ == "__main__":
    run(main)
