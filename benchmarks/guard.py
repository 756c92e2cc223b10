"""What the guard at 100 % costs requests at half load: latency with it against without, in alternating turns.

python -m benchmarks.guard --model-dir build/demo --data models/demo/held_out.json
"""

import argparse
import asyncio

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import traffic
from tools.benchmark.load import Load, closed_loop, open_loop
from tools.local_server import LocalServer

PERCENTILES = (50, 90, 99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    traffic.add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60, help="each part")
    given = parser.parse_args()
    bodies = traffic.bodies(traffic.read(given.data, given.questions), "INT8")
    rate = None
    ratios = []
    for turn in range(given.rounds):
        found = {}
        for share in ("0", "1"):
            with LocalServer(given.model_dir, {"GUARD_SHARE": share}) as server:
                server.wait_until_warm(600)
                if rate is None:
                    rate = 0.5 * asyncio.run(closed_loop(server.url, bodies, 4, requests=200)).queries_per_second
                    print(f"half load: {rate:.1f} queries/s")
                load = asyncio.run(open_loop(server.url, bodies, rate, seconds=given.seconds, seed=turn))
                found[share] = [load.percentile(q) for q in PERCENTILES]
                _print_line(share, load, guard_outcomes(server))
        ratios.append(np.array(found["1"]) / np.array(found["0"]))
    for q, each in zip(PERCENTILES, np.transpose(ratios), strict=True):
        print(f"P{q} with the guard against without: median {np.median(each):.2f}, {np.round(each, 2)}")


def _print_line(share: str, load: Load, outcomes: dict[str, float]) -> None:
    latencies = ", ".join(f"P{q} {load.percentile(q):.0f} ms" for q in PERCENTILES)
    print(f"share {share}: {len(load.samples)} requests, {latencies}; guard {outcomes}; errors {load.errors or 'none'}")


def guard_outcomes(server: LocalServer) -> dict[str, float]:
    """How many answers agreed, differed and were skipped."""
    families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
    (family,) = (each for each in families if each.name == "bertqa_guard_answers")
    return {each.labels["outcome"]: each.value for each in family.samples if each.name.endswith("_total")}


if __name__ == "__main__":
    main()
