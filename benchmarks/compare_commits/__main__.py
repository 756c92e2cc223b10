"""Compare what the HTTP process of two commits costs: its CPU seconds for the same questions, candidate / base.

    python -m benchmarks.compare_commits 5bbb80e              # a revision against the working tree
    python -m benchmarks.compare_commits 5bbb80e HEAD         # two revisions
    python -m benchmarks.compare_commits 5bbb80e ../other     # a revision against another working tree

Each side is extracted into build/compare, quantizes the demo model with its own code, and is served. Both servers run
all the time. A pair sends all questions to both sides, in blocks that alternate between the sides, so that other work
on the machine disturbs both alike. Each pair is one ratio. Pairs are added until the 95 % interval of the mean ratio
lies on one side of --limit. The exit code is 1 if the ratio is above the limit, else 0. The interval is examined after
every pair, so a wrong decision is somewhat more likely than 5 %.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvloop

from benchmarks import traffic
from benchmarks.compare_commits.checkout import CACHE_DIR, Checkout, prepare, program_path
from benchmarks.compare_commits.http_processes import CpuClock
from benchmarks.compare_commits.paired_ratio import MAX_PAIRS, MIN_PAIRS, Decision, RatioInterval, ratio_interval
from benchmarks.server_process import server_process, wait_until
from tools.benchmark.load import Load, closed_loop
from tools.errors import run
from tools.local_server import free_port

START_SECONDS = 600
BLOCK = 50  # questions that one side answers before the other side is measured: one or two seconds


@dataclass(frozen=True)
class Server:
    """A running server of one side."""

    checkout: Checkout
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
    """What one side took for all questions."""

    http_cpu_seconds: float
    latency_p50_ms: float


@dataclass(frozen=True)
class Metric:
    """A figure that can be compared. Smaller is better."""

    unit: str
    value: Callable[[Measured], float]


METRICS = {
    "http-cpu": Metric("CPU s", lambda measured: measured.http_cpu_seconds),
    "latency-p50": Metric("ms", lambda measured: measured.latency_p50_ms),
}


def main() -> None:
    """Prepare and serve both sides, measure pairs, and exit with the decision."""
    given = _parse()
    base, candidate = prepare(given.base), prepare(given.candidate)
    questions = traffic.bodies(traffic.read(given.data, given.questions))
    bodies = [questions[index % len(questions)] for index in range(given.questions)]
    with ExitStack() as stack:
        # The two servers of one commit must not share a log file.
        servers = [
            stack.enter_context(_serve(checkout, CACHE_DIR / f"{side}.log"))
            for side, checkout in (("base", base), ("candidate", candidate))
        ]
        _print_circumstances(given, servers)
        interval = _measure_pairs(given, servers, bodies)
    decision = interval.decide(given.limit)
    print(f"{given.metric}, candidate / base: {interval}; limit {given.limit:g}: {decision}")
    sys.exit(int(decision is Decision.ABOVE))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare_commits",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("base", help="git revision of this repository, or the directory of a git working tree")
    add("candidate", nargs="?", default=".", help="the same (default: the working tree in this directory)")
    add("--metric", choices=METRICS, default="http-cpu", help="what is compared (default: http-cpu)")
    add("--limit", type=float, default=1.02, help="largest ratio that is accepted (default: 1.02)")
    add("--max-pairs", type=int, default=MAX_PAIRS, help=f"{MIN_PAIRS} to {MAX_PAIRS} (default: {MAX_PAIRS})")
    add("--questions", type=int, default=1000, help="questions of one measurement (default: 1000)")
    add("--clients", type=int, default=4, help="clients of the closed loop (default: 4)")
    add("--data", default="models/demo/held_out.json", help="questions in SQuAD's format, repeated as needed")
    given = parser.parse_args()
    if not MIN_PAIRS <= given.max_pairs <= MAX_PAIRS:
        parser.error(f"--max-pairs must be between {MIN_PAIRS} and {MAX_PAIRS}")
    return given


@contextmanager
def _serve(checkout: Checkout, log: Path) -> Iterator[Server]:
    """Run a checkout's server until the block ends; wait until its whole ladder is warm."""
    port = free_port()
    environment = {
        "PATH": program_path(),
        "MODEL_DIR": str(checkout.model_dir),
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }
    with server_process([checkout.entrypoint, "serve"], environment, log) as process:
        server = Server(checkout, f"http://127.0.0.1:{port}", psutil.Process(process.pid))
        wait_until(server.is_warm, process, log, START_SECONDS)
        yield server


def _measure_pairs(given: argparse.Namespace, servers: Sequence[Server], bodies: Sequence[bytes]) -> RatioInterval:
    """Measure pairs until the interval decides or --max-pairs are measured."""
    metric = METRICS[given.metric]
    _measure_pair(servers, bodies, given.clients, first=0)  # This pair fills caches and is not counted.
    ratios: list[float] = []
    while True:
        pair = _measure_pair(servers, bodies, given.clients, first=len(ratios) % 2)
        base, candidate = (metric.value(measured) for measured in pair)
        ratios.append(candidate / base)
        line = f"pair {len(ratios)}: base {base:.2f} {metric.unit}, candidate {candidate:.2f} {metric.unit}"
        line += f", ratio {ratios[-1]:.4f}"
        if len(ratios) < MIN_PAIRS:
            print(line, flush=True)
            continue
        interval = ratio_interval(ratios)
        print(f"{line}; mean {interval}", flush=True)
        if len(ratios) == given.max_pairs or interval.decide(given.limit) is not Decision.UNDECIDED:
            return interval


def _measure_pair(servers: Sequence[Server], bodies: Sequence[bytes], clients: int, first: int) -> list[Measured]:
    """Send each body once to each of the two servers, in blocks in the order ABBA, where A is server number `first`.

    Raises: ToolError if a request is not answered with 200.
    """
    clocks = [CpuClock(server.gunicorn) for server in servers]
    loads = [Load(), Load()]
    for number, start in enumerate(range(0, len(bodies), BLOCK)):
        block = bodies[start : start + BLOCK]
        for side in (first, 1 - first) if number % 2 == 0 else (1 - first, first):
            loads[side] += uvloop.run(closed_loop(servers[side].url, block, clients, requests=len(block)))
    for load in loads:
        traffic.check_all_answered(load, len(bodies))
    return [Measured(clock.seconds(), load.percentile(50)) for clock, load in zip(clocks, loads, strict=True)]


def _print_circumstances(given: argparse.Namespace, servers: Sequence[Server]) -> None:
    info = servers[0].info()
    print(shlex.join(["python", "-m", "benchmarks.compare_commits", *sys.argv[1:]]))
    print(f"{date.today()}, {info['cpu']['model']}, {info['cpu']['isa']}, {psutil.cpu_count()} CPUs")
    print(", ".join(f"{name} {version}" for name, version in info["versions"].items()))
    for side, server in zip(("base", "candidate"), servers, strict=True):
        print(f"{side}: {server.checkout.name}, git tree {server.checkout.tree}")
    print(f"a measurement: {given.questions} questions from {given.clients} clients in a closed loop", flush=True)


if __name__ == "__main__":
    run(main)
