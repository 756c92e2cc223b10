"""One pair of measurements: the same questions, in alternating blocks, for a running server of each side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import uvloop

from benchmarks import traffic
from benchmarks.compare_commits.http_processes import CpuClock
from tools.benchmark.load_generator import Load, closed_loop, open_loop

WARM_UP_QUESTIONS = 200
BLOCK = 50  # questions that one side answers before the other side is measured: one or two seconds
OPEN_LOOP_BLOCK = 500  # a P99 needs time for queues to build up
OPEN_LOOP_SHARE = 0.7  # of the rate at which the base is saturated


@dataclass(frozen=True)
class Server:
    """A running server of one side."""

    url: str
    gunicorn: psutil.Process

    def info(self) -> dict[str, Any]:
        """Return the body of /info."""
        body: dict[str, Any] = httpx.get(f"{self.url}/info").raise_for_status().json()
        return body

    def is_warm(self) -> bool:
        """Return whether /ping is 200 and the whole ladder is warm."""
        return httpx.get(f"{self.url}/ping").status_code == httpx.codes.OK and bool(self.info()["is_warm"])


@dataclass(frozen=True)
class Measured:
    """The CPU time and the latencies of one side over all questions."""

    http_cpu_seconds: float
    load: Load


@dataclass(frozen=True)
class Metric:
    """A figure that can be compared. Smaller is better.

    is_open_loop: the questions arrive as a Poisson process, and not when a client has its last answer.
    """

    unit: str
    value: Callable[[Measured], float]
    is_open_loop: bool = False


METRICS = {
    "http-cpu": Metric("CPU s", lambda measured: measured.http_cpu_seconds),
    "latency-p50": Metric("ms", lambda measured: measured.load.percentile(50)),
    "latency-p99": Metric("ms", lambda measured: measured.load.percentile(99), is_open_loop=True),
}


def measure_pair(
    servers: Mapping[str, Server], bodies: Sequence[bytes], clients: int, *, is_open_loop: bool
) -> dict[str, Measured]:
    """Send each body once to each of the two servers, in blocks in the order ABBA. Keys are side names.

    Raises: ToolError if a request is not answered with 200.
    """
    for server in servers.values():  # The first requests fill caches and are not counted.
        uvloop.run(closed_loop(server.url, bodies, clients, requests=WARM_UP_QUESTIONS))
    rate = OPEN_LOOP_SHARE * _saturation(servers["base"], bodies, clients) if is_open_loop else None

    def send(server: Server, block: Sequence[bytes], number: int) -> Load:
        if rate is not None:
            return uvloop.run(open_loop(server.url, block, rate, seconds=len(block) / rate, seed=number))
        return uvloop.run(closed_loop(server.url, block, clients, requests=len(block)))

    first, second = servers
    clocks = {name: CpuClock(server.gunicorn) for name, server in servers.items()}
    loads = {name: Load() for name in servers}
    size = BLOCK if rate is None else OPEN_LOOP_BLOCK
    for number, start in enumerate(range(0, len(bodies), size)):
        block = bodies[start : start + size]
        for name in (first, second) if number % 2 == 0 else (second, first):
            loads[name] += send(servers[name], block, number)
    for load in loads.values():
        traffic.check_all_answered(load, len(bodies))
    return {name: Measured(clocks[name].seconds(), loads[name]) for name in servers}


def _saturation(server: Server, bodies: Sequence[bytes], clients: int) -> float:
    """Return the questions a second that a closed loop gets answered."""
    return uvloop.run(closed_loop(server.url, bodies, clients, requests=WARM_UP_QUESTIONS)).queries_per_second
