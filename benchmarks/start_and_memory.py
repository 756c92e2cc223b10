"""From the command to `/ping` 200, and the memory of every process when the whole ladder is warm and has been used.

    python -m benchmarks.start_and_memory --model-dir build/bert-base --starts 5

Memory is proportional set size: a page that n processes share counts 1/n in each. The file cache should be warm.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections import defaultdict
from pathlib import Path

import psutil

from tools.benchmark.load import closed_loop
from tools.local_server import LocalServer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model-dir", type=Path, default=Path("build/demo"))
    parser.add_argument("--precisions", default="auto", help="as the PRECISIONS setting")
    parser.add_argument("--starts", type=int, default=5)
    given = parser.parse_args()
    settings = {"PRECISIONS": given.precisions}
    ready = []
    for _ in range(given.starts):
        start = time.perf_counter()
        with LocalServer(given.model_dir, settings) as server:
            ready.append(time.perf_counter() - start)
            if len(ready) == given.starts:
                server.wait_until_warm(600)
                warm = time.perf_counter() - start
                _use_every_rung(server)
                memory = memory_by_role(server.process.pid)
                lanes = ", ".join(lane["name"] for lane in server.info()["lanes"])
    print(f"{given.model_dir}, PRECISIONS={given.precisions}, lanes {lanes}:")
    print(f"  start to /ping 200: median {statistics.median(ready):.1f} s of {[round(each, 1) for each in ready]}")
    print(f"  start to the whole ladder warm: {warm:.0f} s")
    for role, each in memory.items():
        print(f"  {role:12s} {' + '.join(f'{mb:.0f}' for mb in each)} MB")
    print(f"  together     {sum(map(sum, memory.values())):.0f} MB proportional set size")


def _use_every_rung(server: LocalServer) -> None:
    """On every lane: alone, several at once, and in one document of many windows."""
    info = server.info()
    for precision in info["precisions"]:
        bodies = [_body(rung, precision) for rung in info["rungs"]]
        asyncio.run(closed_loop(server.url, bodies, 1, requests=len(bodies)))
        asyncio.run(closed_loop(server.url, bodies, 6, requests=4 * len(bodies)))
        asyncio.run(closed_loop(server.url, [_body(info["rungs"][-1] * 16, precision)], 1, requests=1))


def _body(tokens: int, precision: str) -> bytes:
    return json.dumps({"question": "word", "context": "word " * (tokens - 4), "version": precision}).encode()


def memory_by_role(supervisor_pid: int) -> dict[str, list[float]]:
    """Proportional set size in megabytes."""
    supervisor = psutil.Process(supervisor_pid)
    (worker,) = supervisor.children()
    (zygote,) = worker.children()
    memory: dict[str, list[float]] = defaultdict(list)
    roles = [("gunicorn", supervisor), ("HTTP worker", worker), ("zygote", zygote)]
    lanes = [lane for lane in zygote.children() if lane.status() != psutil.STATUS_ZOMBIE]
    for role, process in (*roles, *((_lane_role(lane), lane) for lane in lanes)):
        memory[role].append(process.memory_full_info().pss / 1e6)
    return memory


def _lane_role(lane: psutil.Process) -> str:
    if len(lane.threads()) > 1:
        return "wide"
    return "background" if lane.nice() > 1 else "narrow"


if __name__ == "__main__":
    main()
