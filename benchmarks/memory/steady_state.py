"""Check that a warm server is steady: how many requests are slow for their rung, and whether memory grows.

    python -m benchmarks.memory.steady_state --model-dir build/demo

300 requests of random lengths are sent, one at a time.
"""

import random
import statistics
import time
from collections import defaultdict

import httpx
import psutil

from benchmarks import traffic
from benchmarks.arguments import DEMO, benchmark_parser
from benchmarks.server_process import warm_server
from model_loader import ladder
from tools.errors import run

REQUESTS = 300
MEMORY_READ_AFTER = (100, 300)  # requests
SHORTEST, LONGEST = 8, 384  # tokens


def main() -> None:
    """Send the requests and print the share of slow ones and the growth of memory."""
    given = benchmark_parser(__doc__, model_dir=DEMO).parse_args()
    lengths = random.Random(0)
    times_ms: dict[int | None, list[float]] = defaultdict(list)  # by rung
    memory_mb: list[float] = []
    with warm_server(given.model_dir) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        rungs = server.info()["rungs"]
        for number in range(1, REQUESTS + 1):
            tokens = lengths.randint(SHORTEST, LONGEST)
            start = time.perf_counter()
            client.post("/invocations", content=traffic.body_of_length(tokens)).raise_for_status()
            times_ms[ladder.rung_for(tokens, rungs)].append((time.perf_counter() - start) * 1000)
            if number in MEMORY_READ_AFTER:
                memory_mb.append(_resident_mb(server.process.pid))
    slow = sum(ms > 2 * statistics.median(of_rung) for of_rung in times_ms.values() for ms in of_rung)
    before, after = memory_mb
    growth = 100 * (after / before - 1)
    print(f"{REQUESTS} requests of {SHORTEST} to {LONGEST} tokens on {given.model_dir}:")
    print(f"  slower than twice the median of their rung: {slow} ({100 * slow / REQUESTS:.1f} %)")
    print(f"  resident memory of all processes: {before:.0f} MB, after 200 more {after:.0f} MB ({growth:+.2f} %)")


def _resident_mb(pid: int) -> float:
    parent = psutil.Process(pid)
    return sum(float(process.memory_info().rss) for process in (parent, *parent.children(recursive=True))) / 1e6


if __name__ == "__main__":
    run(main)
