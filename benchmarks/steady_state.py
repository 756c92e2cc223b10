"""Is a warm server steady? 300 requests of random lengths: how many are slow for their rung, and does memory grow?

python -m benchmarks.steady_state --model-dir build/demo
"""

import argparse
import random
import statistics
import time
from collections import defaultdict
from pathlib import Path

import httpx
import psutil

from tools.local_server import LocalServer

REQUESTS = 300
SHORTEST, LONGEST = 8, 384  # tokens
OVERHEAD_TOKENS = 4  # [CLS] question [SEP] ... [SEP]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model-dir", type=Path, default=Path("build/demo"))
    given = parser.parse_args()
    chosen = random.Random(0)
    times: dict[int, list[float]] = defaultdict(list)
    memory: list[float] = []
    with LocalServer(given.model_dir) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        server.wait_until_warm(600)
        for index in range(REQUESTS):
            tokens = chosen.randint(SHORTEST, LONGEST)
            body = {"question": "word", "context": "word " * (tokens - OVERHEAD_TOKENS)}
            start = time.perf_counter()
            client.post("/invocations", json=body).raise_for_status()
            times[-(-tokens // 16) * 16].append((time.perf_counter() - start) * 1000)
            if index in (REQUESTS - 201, REQUESTS - 1):
                memory.append(_resident_mb(server.process.pid))
    slow = sum(t > 2 * statistics.median(of_rung) for of_rung in times.values() for t in of_rung)
    print(f"{REQUESTS} requests of {SHORTEST} to {LONGEST} tokens on {given.model_dir}:")
    print(f"  slower than twice the median of their rung: {slow} ({100 * slow / REQUESTS:.1f} %)")
    growth = 100 * (memory[1] / memory[0] - 1)
    print(
        f"  resident memory of all processes: {memory[0]:.0f} MB, after 200 more {memory[1]:.0f} MB ({growth:+.2f} %)"
    )


def _resident_mb(pid: int) -> float:
    parent = psutil.Process(pid)
    return sum(process.memory_info().rss for process in (parent, *parent.children(recursive=True))) / 1e6


if __name__ == "__main__":
    main()
