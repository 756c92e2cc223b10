"""Measure latency under Poisson arrivals: at 70 % of saturation against an ideal queue, and at three times saturation.

    python -m benchmarks.latency.open_loop --model-dir build/bert-base --data SQUAD_FILE

The ideal queue is a calculation. It serves windows first in, first out, on as many servers as there are narrow lanes.
A window takes the time that this server measured for its rung, and nothing else takes time. The arrivals are the same.
"""

import argparse
import asyncio
import heapq
import math
import time
from collections.abc import Sequence

import aiohttp
import numpy as np

from benchmarks import traffic
from benchmarks.arguments import BERT_BASE, add_precision, add_questions, add_seconds, benchmark_parser
from benchmarks.server_process import warm_server
from container import cpu
from model_loader import ladder
from model_loader.artifact import open_artifact
from serve.qa.features import Window
from tools.benchmark.load_generator import REFUSED, Load, closed_loop, open_loop, poisson_arrivals
from tools.errors import ToolError, run
from tools.local_server import LocalServer
from tools.squad.examples import Example

PING_SECONDS = 0.1
SEED_AT_70_PERCENT, SEED_OF_OVERLOAD = 1, 2


def main() -> None:
    """Find the saturated rate, then measure below and above it."""
    parser = benchmark_parser(__doc__, model_dir=BERT_BASE)
    add_precision(parser)
    add_questions(parser)
    add_seconds(parser, default=60)
    given = parser.parse_args()
    examples = traffic.read(given.data, given.questions)
    bodies = traffic.bodies(examples, given.precision)
    with warm_server(given.model_dir, {"PRECISIONS": given.precision}) as server:
        peak = asyncio.run(closed_loop(server.url, bodies, 4, requests=len(bodies))).queries_per_second
        print(f"{given.precision}: saturation {peak:.1f} queries/s (closed loop, 4 clients)")
        rate = 0.7 * peak
        load = asyncio.run(open_loop(server.url, bodies, rate, seconds=given.seconds, seed=SEED_AT_70_PERCENT))
        lanes = sum(lane["kind"] == "narrow" for lane in server.info()["lanes"])
        arrivals = poisson_arrivals(rate, given.seconds, SEED_AT_70_PERCENT)
        ideal_ms = fifo_latencies_ms(arrivals, _window_costs_ms(given, server, examples), lanes)
        print(f"open loop at {rate:.1f}/s, {len(load.samples)} requests, {given.seconds:g} s:")
        for q in (50, 90, 99):
            ours, best = load.percentile(q), float(np.percentile(ideal_ms, q))
            print(f"  P{q} {ours:6.0f} ms, ideal queue {best:6.0f} ms: {ours / best:.2f}")
        overload, pings_ms = asyncio.run(_overload(server.url, bodies, 3 * peak, given.seconds))
        _print_overload(overload, pings_ms, peak)


def fifo_latencies_ms(arrivals: Sequence[float], costs_ms: Sequence[Sequence[float]], lanes: int) -> list[float]:
    """Return the latency of each request in the ideal queue.

    Args:
        arrivals: seconds at which the requests arrive.
        costs_ms: for each body, the milliseconds of its windows. Request i sends body i modulo the number of bodies.
        lanes: how many windows run at once.
    """
    free_at = [0.0] * lanes
    latencies = []
    for index, arrival in enumerate(arrivals):
        finished = 0.0
        for cost_ms in costs_ms[index % len(costs_ms)]:
            done = max(arrival, heapq.heappop(free_at)) + cost_ms / 1000
            heapq.heappush(free_at, done)
            finished = max(finished, done)
        latencies.append((finished - arrival) * 1000)
    return latencies


def _window_costs_ms(given: argparse.Namespace, server: LocalServer, examples: Sequence[Example]) -> list[list[float]]:
    """Return the milliseconds of each question's windows on a narrow lane, as the server measured their rungs."""
    cost_ms: dict[int, float] = {
        cost["tokens"]: cost["ms"]
        for cost in server.info()["costs"]
        if cost["cores"] == 1 and cost["precision"] == given.precision
    }

    def cost_of(window: Window) -> float:
        rung = ladder.rung_for(len(window.input_ids), sorted(cost_ms))
        assert rung is not None  # The longest rung holds every window.
        return cost_ms[rung]

    cutter = traffic.open_cutter(open_artifact(given.model_dir, None, cpu.detect()))
    return [[cost_of(window) for window in windows] for windows in traffic.windows(examples, cutter)]


async def _overload(url: str, bodies: Sequence[bytes], rate: float, seconds: float) -> tuple[Load, list[float]]:
    """Run an open loop, and measure the milliseconds of a /ping every tenth of a second."""
    pings_ms: list[float] = []

    async def ping() -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                begin = time.perf_counter()
                async with session.get(f"{url}/ping") as response:
                    if not response.ok:
                        raise ToolError(f"/ping answered with status {response.status} during the overload")
                pings_ms.append((time.perf_counter() - begin) * 1000)
                await asyncio.sleep(PING_SECONDS)

    pinging = asyncio.create_task(ping())
    load = await open_loop(url, bodies, rate, seconds=seconds, seed=SEED_OF_OVERLOAD)
    if pinging.done():
        pinging.result()  # Raises what ended the pings.
    pinging.cancel()
    return load, pings_ms


def _print_overload(load: Load, pings_ms: Sequence[float], peak: float) -> None:
    refused_ms = [sample.latency_ms for sample in load.samples if sample.status == REFUSED]
    share = load.generator_cpu_seconds / load.seconds
    print(f"open loop at three times saturation, {len(load.samples)} requests:")
    print(f"  answered {load.queries_per_second:.1f} queries/s, {load.queries_per_second / peak:.2f} of the peak")
    print(f"  answered P50 {load.percentile(50):.0f} ms; number of errors by status: {load.errors or 'none'}")
    for what, times_ms in (("refused requests", refused_ms), ("pings", pings_ms)):
        p50, p99 = np.percentile(times_ms, (50, 99)) if times_ms else (math.nan, math.nan)
        print(f"  {len(times_ms)} {what}, P50 {p50:.1f} ms, P99 {p99:.1f} ms")
    print(f"  the load generator took {share:.3f} of a core")


if __name__ == "__main__":
    run(main)
