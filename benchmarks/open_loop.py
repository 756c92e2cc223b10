"""Poisson arrivals at 70 % of saturation against an ideal queue, and at three times saturation.

    python -m benchmarks.open_loop --model-dir build/bert-base --data SQUAD_FILE

The ideal: first in, first out, over as many servers as there are narrow lanes, with the rung costs that this server
measured, the same arrivals, and nothing around them.
"""

import argparse
import asyncio
import heapq
import time
from collections.abc import Sequence

import aiohttp
import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import traffic
from container import cpu
from model_loader import ladder
from model_loader.artifact import open_artifact
from serve.qa.features import Featurizer, WindowLimits
from tools.benchmark.load import REFUSED, Load, closed_loop, open_loop, poisson_arrivals
from tools.local_model import Cutter
from tools.local_server import LocalServer
from tools.squad.examples import Example

PING_SECONDS = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    traffic.add_arguments(parser)
    parser.add_argument("--precision", default="INT8")
    parser.add_argument("--seconds", type=float, default=60, help="each part")
    given = parser.parse_args()
    examples = traffic.read(given.data, given.questions)
    bodies = traffic.bodies(examples, given.precision)
    with LocalServer(given.model_dir, {"PRECISIONS": given.precision}) as server:
        server.wait_until_warm(600)
        peak = asyncio.run(closed_loop(server.url, bodies, 4, requests=len(bodies))).queries_per_second
        print(f"{given.precision}: saturation {peak:.1f} queries/s (closed loop, 4 clients)")
        rate = 0.7 * peak
        load = asyncio.run(open_loop(server.url, bodies, rate, seconds=given.seconds, seed=1))
        costs = rung_costs(server, given.precision)
        lanes = sum(lane["kind"] == "narrow" for lane in server.info()["lanes"])
        services = [
            [costs[ladder.rung_for(tokens, costs)] for tokens in each] for each in window_tokens(given, examples)
        ]
        ideal = fifo_latencies_ms(poisson_arrivals(rate, given.seconds, 1), services, lanes)
        print(f"open loop at {rate:.1f}/s, {len(load.samples)} requests, {given.seconds:g} s:")
        for q in (50, 90, 99):
            ours, best = load.percentile(q), float(np.percentile(ideal, q))
            print(f"  P{q} {ours:6.0f} ms, ideal queue {best:6.0f} ms: {ours / best:.2f}")
        overload, pings = asyncio.run(_overload(server.url, bodies, 3 * peak, given.seconds))
        _print_overload(overload, pings, peak)


def window_tokens(given: argparse.Namespace, examples: Sequence[Example]) -> list[list[int]]:
    """The lengths of each question's windows."""
    artifact = open_artifact(given.model_dir, None, cpu.detect())
    cutter = Cutter(Featurizer(artifact.tokenizer_file), WindowLimits(artifact.max_seq_len, artifact.doc_stride, 64))
    return [[len(window.input_ids) for window in cutter.cut(each)[1]] for each in examples]


def rung_costs(server: LocalServer, precision: str) -> dict[int, float]:
    """Milliseconds of each rung on a narrow lane, as the server measured them."""
    families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
    (family,) = (each for each in families if each.name == "bertqa_rung_cost_seconds")
    return {
        int(sample.labels["rung"]): sample.value * 1000
        for sample in family.samples
        if sample.labels["width"] == "1" and sample.labels["precision"] == precision
    }


def fifo_latencies_ms(arrivals: Sequence[float], services: Sequence[Sequence[float]], lanes: int) -> list[float]:
    """Latency of each arrival, whose windows take services[i % n] milliseconds, in an ideal queue."""
    free_at = [0.0] * lanes
    latencies = []
    for index, arrival in enumerate(arrivals):
        finished = 0.0
        for service_ms in services[index % len(services)]:
            done = max(arrival, heapq.heappop(free_at)) + service_ms / 1000
            heapq.heappush(free_at, done)
            finished = max(finished, done)
        latencies.append((finished - arrival) * 1000)
    return latencies


async def _overload(url: str, bodies: Sequence[bytes], rate: float, seconds: float) -> tuple[Load, list[float]]:
    """An open loop, and beside it the milliseconds of a /ping every tenth of a second."""
    pings: list[float] = []

    async def ping() -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                begin = time.perf_counter()
                async with session.get(f"{url}/ping") as response:
                    assert response.status == 200
                pings.append((time.perf_counter() - begin) * 1000)
                await asyncio.sleep(PING_SECONDS)

    pinging = asyncio.create_task(ping())
    load = await open_loop(url, bodies, rate, seconds=seconds, seed=2)
    pinging.cancel()
    return load, pings


def _print_overload(load: Load, pings: Sequence[float], peak: float) -> None:
    refusals = [sample.latency_ms for sample in load.samples if sample.status == REFUSED]
    share = load.generator_cpu_seconds / load.seconds
    print(f"open loop at three times saturation, {len(load.samples)} requests:")
    print(f"  answered {load.queries_per_second:.1f} queries/s, {load.queries_per_second / peak:.2f} of the peak")
    print(f"  answered P50 {load.percentile(50):.0f} ms; other errors: {load.errors or 'none'}")
    print(
        f"  {len(refusals)} refused, P50 {np.percentile(refusals, 50):.1f} ms, P99 {np.percentile(refusals, 99):.1f} ms"
    )
    print(f"  {len(pings)} pings, P50 {np.percentile(pings, 50):.1f} ms, P99 {np.percentile(pings, 99):.1f} ms")
    print(f"  the load generator took {share:.3f} of a core")


if __name__ == "__main__":
    main()
