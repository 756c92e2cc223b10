r"""Measure the CPU time that the HTTP process and the text processes take for a question.

    python -m benchmarks.random_checkpoint build/tiny-checkpoint --layers 2 --hidden-size 128 --logit-factor 30
    python -m tools.quantize --model build/tiny-checkpoint --calibration models/demo/calibration.json \
        --output build/tiny
    python -m benchmarks.throughput.http_cpu --model-dir build/tiny --data SQUAD_FILE

With a model of two narrow layers, the lanes are so fast that the HTTP process is what limits the server. The clients
send their questions in a closed loop.
"""

import asyncio
import statistics
from pathlib import Path

import psutil

from benchmarks import traffic
from benchmarks.arguments import add_precision, add_questions, add_rounds, benchmark_parser
from benchmarks.compare_commits.http_processes import CpuClock
from benchmarks.server_process import warm_server
from tools.benchmark.load_generator import closed_loop
from tools.errors import run


def main() -> None:
    """Send the questions several times and print the CPU time of each round, and the median."""
    parser = benchmark_parser(__doc__, model_dir=Path("build/tiny"))
    add_precision(parser)
    add_questions(parser, default=1000)
    add_rounds(parser, default=8)
    parser.add_argument("--clients", type=int, default=8, help="clients of the closed loop (default: 8)")
    given = parser.parse_args()
    bodies = traffic.bodies(traffic.read(given.data, given.questions), given.precision)
    used = []
    with warm_server(given.model_dir, {"PRECISIONS": given.precision, "MAX_BATCH_WINDOWS": "1"}) as server:
        for _ in range(given.rounds):
            clock = CpuClock(psutil.Process(server.process.pid))
            load = asyncio.run(closed_loop(server.url, bodies, given.clients, requests=len(bodies)))
            traffic.check_all_answered(load, len(bodies))
            used.append(clock.seconds())
            print(f"  {used[-1]:.2f} s of CPU time in {load.seconds:.2f} s", flush=True)
    print(
        f"{len(bodies)} questions, {given.clients} clients, {given.model_dir}: median {statistics.median(used):.2f} s"
    )


if __name__ == "__main__":
    run(main)
