"""Measure how much the guard delays other requests when it runs every INT8 answer again in FP32.

    python -m benchmarks.latency.guard --model-dir build/demo --data models/demo/held_out.json

Requests arrive at half of the saturated rate. Each round measures the latency without the guard, then with it.
"""

import asyncio
from collections.abc import Mapping

import numpy as np

from benchmarks import traffic
from benchmarks.arguments import BERT_BASE, add_questions, add_rounds, add_seconds, benchmark_parser
from benchmarks.server_metrics import read_samples
from benchmarks.server_process import warm_server
from tools.benchmark.load_generator import Load, closed_loop, open_loop
from tools.errors import run

PERCENTILES = (50, 90, 99)
WITHOUT, WITH = "0", "1"  # values of GUARD_SHARE


def main() -> None:
    """Measure the rounds and print the ratio of each percentile."""
    parser = benchmark_parser(__doc__, model_dir=BERT_BASE)
    add_questions(parser)
    add_rounds(parser, default=3)
    add_seconds(parser, default=60)
    given = parser.parse_args()
    bodies = traffic.bodies(traffic.read(given.data, given.questions), "INT8")
    rate: float | None = None
    ratios = []
    for round_number in range(given.rounds):
        latencies = {}
        for share in (WITHOUT, WITH):
            with warm_server(given.model_dir, {"GUARD_SHARE": share}) as server:
                if rate is None:
                    rate = 0.5 * asyncio.run(closed_loop(server.url, bodies, 4, requests=200)).queries_per_second
                    print(f"half of saturation: {rate:.1f} queries/s")
                load = asyncio.run(open_loop(server.url, bodies, rate, seconds=given.seconds, seed=round_number))
                latencies[share] = [load.percentile(q) for q in PERCENTILES]
                _print_line(share, load, _outcomes(server.url))
        ratios.append(np.array(latencies[WITH]) / np.array(latencies[WITHOUT]))
    for q, of_rounds in zip(PERCENTILES, np.transpose(ratios), strict=True):
        print(f"P{q}, with the guard / without: median {np.median(of_rounds):.2f} of {np.round(of_rounds, 2)}")


def _print_line(share: str, load: Load, outcomes: Mapping[str, float]) -> None:
    latencies = ", ".join(f"P{q} {load.percentile(q):.0f} ms" for q in PERCENTILES)
    print(
        f"GUARD_SHARE={share}: {len(load.samples)} requests, {latencies}; answers of the guard {outcomes}; "
        f"number of errors by status: {load.errors or 'none'}"
    )


def _outcomes(url: str) -> dict[str, float]:
    """Return how many answers of the guard agreed, differed, and were skipped."""
    return {sample.labels["result"]: sample.value for sample in read_samples(url, "bertqa_guard_answers_total")}


if __name__ == "__main__":
    run(main)
