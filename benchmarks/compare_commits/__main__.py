"""Compare two versions of the server by the CPU time of the HTTP process, or by latency.

    python -m benchmarks.compare_commits 5bbb80e              # a revision against the working tree
    python -m benchmarks.compare_commits 5bbb80e HEAD         # two revisions
    python -m benchmarks.compare_commits 5bbb80e ../other     # a revision against another working tree
    python -m benchmarks.compare_commits 5bbb80e --metric latency-p99 --questions 3000 --limit 1.05

Each side is extracted into build/compare, and quantizes the demo model with its own code. A pair of measurements starts
a server for each side and sends all questions to both. The questions go in blocks that alternate between the sides, so
that other work on the machine disturbs both sides alike. Every pair starts new servers, because two processes that run
the same code can differ in speed throughout their life.

CPU time and median latency (latency-p50) are those of a closed loop of --clients. The P99 (latency-p99) is that of an
open loop at 70 % of the rate at which the base is saturated, with the same arrivals for both sides.

Each pair gives one ratio, candidate / base: above 1, the candidate needs more. From the fifth pair on, the command
ends as soon as the 95 % interval of the geometric mean lies on one side of --limit, or with "undecided" after
--max-pairs. The interval is examined after every pair, so errors are more frequent than 5 %: of candidates exactly at
the limit, one in eight is called above it, and one in eight within it. The exit code is 1 only if the whole interval is
above the limit. A pair of 1,000 questions takes about a minute.
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import psutil

from benchmarks import traffic
from benchmarks.arguments import HELD_OUT
from benchmarks.compare_commits.checkout import CACHE_DIR, Checkout, prepare, program_path
from benchmarks.compare_commits.pair import METRICS, OPEN_LOOP_SHARE, Server, measure_pair
from benchmarks.compare_commits.paired_ratio import MAX_PAIRS, MIN_PAIRS, Decision, RatioInterval, ratio_interval
from benchmarks.server_process import exit_on_sigterm, server_process, wait_until
from tools.errors import run
from tools.local_server import free_port

START_SECONDS = 600


@dataclass(frozen=True)
class Side:
    """One side of the comparison: its name in the output, and its checkout."""

    name: str
    checkout: Checkout


def main() -> None:
    """Prepare both sides, measure pairs, and exit with the decision."""
    exit_on_sigterm()
    given = _parse()
    sides = [Side("base", prepare(given.base)), Side("candidate", prepare(given.candidate))]
    questions = traffic.bodies(traffic.read(given.data, given.questions))
    bodies = [questions[index % len(questions)] for index in range(given.questions)]
    interval = _measure_pairs(given, sides, bodies)
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
    add(
        "candidate",
        nargs="?",
        default=".",
        help="a revision or directory, like base (default: the working tree in this directory)",
    )
    add("--metric", choices=METRICS, default="http-cpu", help="what is compared (default: http-cpu)")
    add("--limit", type=float, default=1.02, help="largest ratio that is accepted (default: 1.02)")
    pairs = f"end after so many pairs, {MIN_PAIRS} to {MAX_PAIRS} (default: {MAX_PAIRS})"
    add("--max-pairs", type=int, default=MAX_PAIRS, help=pairs)
    add("--questions", type=int, default=1000, help="questions of one measurement (default: 1000)")
    add("--precisions", default="INT8", help="value of the setting PRECISIONS (default: INT8, without a guard)")
    add("--clients", type=int, default=4, help="clients of the closed loop (default: 4)")
    add("--data", default=HELD_OUT, help=f"questions in SQuAD's format, repeated as needed (default: {HELD_OUT})")
    given = parser.parse_args()
    if not MIN_PAIRS <= given.max_pairs <= MAX_PAIRS:
        parser.error(f"--max-pairs must be between {MIN_PAIRS} and {MAX_PAIRS}")
    return given


def _measure_pairs(given: argparse.Namespace, sides: Sequence[Side], bodies: Sequence[bytes]) -> RatioInterval:
    """Measure pairs until the interval lies on one side of --limit, or --max-pairs are measured."""
    metric = METRICS[given.metric]
    ratios: list[float] = []
    while True:
        # Every second pair begins with the candidate.
        order = sides if len(ratios) % 2 == 0 else sides[::-1]
        with _serve(order, given.precisions) as servers:
            if not ratios:
                _print_circumstances(given, sides, servers["base"].info())
            measured = measure_pair(servers, bodies, given.clients, is_open_loop=metric.is_open_loop)
        base, candidate = metric.value(measured["base"]), metric.value(measured["candidate"])
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


@contextmanager
def _serve(order: Sequence[Side], precisions: str) -> Iterator[dict[str, Server]]:
    """Run the servers of both sides until the block ends; the block starts when both are warm. Keys are side names."""
    with ExitStack() as stack:
        started = []
        for side in order:
            port, log = free_port(), CACHE_DIR / f"{side.name}.log"
            settings = {"MODEL_DIR": str(side.checkout.model_dir), "PRECISIONS": precisions}
            address = {"HOST": "127.0.0.1", "PORT": str(port), "PATH": program_path()}
            command = [side.checkout.entrypoint, "serve"]
            process = stack.enter_context(server_process(command, settings | address, log))
            started.append((side, process, log, Server(f"http://127.0.0.1:{port}", psutil.Process(process.pid))))
        for _, process, log, server in started:
            wait_until(server.is_warm, process, log, START_SECONDS)
        yield {side.name: server for side, _, _, server in started}


def _print_circumstances(given: argparse.Namespace, sides: Sequence[Side], info: Mapping[str, Any]) -> None:
    print(shlex.join(["python", "-m", "benchmarks.compare_commits", *sys.argv[1:]]))
    print(f"{date.today()}, {info['cpu']['model']}, {info['cpu']['isa']}, {psutil.cpu_count()} CPUs")
    print(", ".join(f"{name} {version}" for name, version in info["versions"].items()))
    for side in sides:
        print(f"{side.name}: {side.checkout.name}, git tree {side.checkout.tree}")
    loop = f"from {given.clients} clients in a closed loop"
    if METRICS[given.metric].is_open_loop:
        loop = f"in an open loop at {OPEN_LOOP_SHARE:.0%} of the rate at which the base is saturated"
    what = f"{given.questions} questions {loop}"
    print(f"a measurement: {what}, PRECISIONS={given.precisions}", flush=True)


if __name__ == "__main__":
    run(main)
